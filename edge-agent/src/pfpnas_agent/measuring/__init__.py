"""One measurement, in a process of its own: `python -m pfpnas_agent.measuring` reads `job.json`, writes `answer.json`.

Only the standard library, numpy and onnxruntime are imported on the usual way: a process starts for every candidate.
"""
