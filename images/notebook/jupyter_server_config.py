# A visitor's server lives behind the hub for an hour or two: nothing here calls home or asks to be upgraded.
import os
import runpy
import sys
from pathlib import Path

c = get_config()  # noqa: F821

c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"

# The first page of a server for which the hub names none: a home always has the notebook, a new volume too.
welcome = runpy.run_path(str(Path(sys.prefix, "share", "welcome", "welcome.py")))
c.ServerApp.default_url = welcome["place"](Path.home(), os.environ)
