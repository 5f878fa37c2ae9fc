# A visitor's server lives behind the hub for an hour or two: nothing here calls home or asks to be upgraded.
c = get_config()  # noqa: F821

c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"
