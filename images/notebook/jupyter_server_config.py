# A visitor's server runs for an hour or two: it should neither call home nor ask to be upgraded.
import os
import runpy
import sys
from pathlib import Path

c = get_config()  # noqa: F821

c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"

# The first page where the hub names none. The notebook is put into every home, a new volume included.
welcome = runpy.run_path(str(Path(sys.prefix, "share", "welcome", "welcome.py")))
c.ServerApp.default_url = welcome["place"](Path.home(), os.environ)
