"""The edge agent: measures candidates on private data and private hardware, and answers with numbers only."""

import os

# Since 1.29, onnxruntime's wheels for Linux send their makers what was run, unless told not to before they are loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
