"""These run on the backend that KERAS_BACKEND names; without one they are left alone.

`KERAS_BACKEND=jax pytest tests/keras` runs them; `python -m tests` does so for each backend.
"""

import os

collect_ignore_glob = [] if os.environ.get("KERAS_BACKEND") else ["*.py"]
