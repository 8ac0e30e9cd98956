"""The report of a search: figures derived once (`build_report`), and what draws or says them."""

from pfpnas_operator.report.building import build_report
from pfpnas_operator.report.page import render_html
from pfpnas_operator.report.schema import REPORT_VERSION, Report
from pfpnas_operator.report.summary import comparison_lines, summary_lines

__all__ = ["REPORT_VERSION", "Report", "build_report", "comparison_lines", "render_html", "summary_lines"]
