"""Custom resource definitions, generated from the models: ``python -m pfpnas_api.crdgen``."""

from pfpnas_api.crdgen.definition import definitions
from pfpnas_api.crdgen.files import file_name, rendered
from pfpnas_api.crdgen.schema import SchemaError, structural_schema

__all__ = ["SchemaError", "definitions", "file_name", "rendered", "structural_schema"]
