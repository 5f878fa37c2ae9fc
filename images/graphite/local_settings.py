# Settings of Graphite's web application. It answers on the host's loopback only: no one logs in here.
from pathlib import Path

SECRET_KEY = Path("/var/lib/graphite/secret_key").read_text(encoding="ascii")
ALLOWED_HOSTS = ["*"]
TIME_ZONE = "UTC"
STORAGE_DIR = "/var/lib/graphite"
WHISPER_DIR = "/var/lib/graphite/whisper"
STANDARD_DIRS = [WHISPER_DIR]
CONF_DIR = "/run/graphite"
LOG_DIR = "/run/graphite/log"
INDEX_FILE = "/run/graphite/index"
LOG_RENDERING_PERFORMANCE = False
LOG_CACHE_PERFORMANCE = False
LOG_INFO_PERFORMANCE = False
CARBONLINK_HOSTS = ["127.0.0.1:7002"]
TAGDB = ""
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/var/lib/graphite/graphite.db"}}
