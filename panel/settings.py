"""Settings, from the environment with safe defaults.

Variables: REDOUBT_STATE, REDOUBT_SECRET_KEY, REDOUBT_KEY_FILE, REDOUBT_ALLOWED_HOSTS,
REDOUBT_CSRF_TRUSTED_ORIGINS, REDOUBT_HTTPS, REDOUBT_DEBUG, REDOUBT_TIME_ZONE,
REDOUBT_LEASE_SECONDS, REDOUBT_OBSERVE_MINUTES, REDOUBT_REAUTHENTICATION_SECONDS, DATABASE_URL,
CELERY_BROKER_URL.
docs/configuration.md explains each.
"""

from datetime import timedelta
from pathlib import Path

import dj_database_url
import environ
from csp.constants import NONE, SELF
from django.contrib.messages import constants as message_constants

from panel.places import BASE_DIR, broker_socket, state_directory

env = environ.Env()

STATE_DIR = state_directory()
KEY_FILE = Path(env.str("REDOUBT_KEY_FILE", default=str(STATE_DIR / "keys.json")))
BROKER_SOCKET = broker_socket(STATE_DIR)


def _secret_key() -> str:
    """Return Django's signing key: from the environment, else the one `manage.py setup` wrote.

    Without either the value is empty and Django refuses to sign: commands that need no signing,
    `setup` above all, still run.
    """
    path = STATE_DIR / "secret_key"
    return env.str("REDOUBT_SECRET_KEY", default="") or (
        path.read_text().strip() if path.exists() else ""
    )


SECRET_KEY = _secret_key()
DEBUG = env.bool("REDOUBT_DEBUG", default=False)
ALLOWED_HOSTS = env.list("REDOUBT_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("REDOUBT_CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "panel.apps.PanelConfig",
    "instances.apps.InstancesConfig",
    "addons.apps.AddonsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "django_htmx",
    "django_filters",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "panel.login.LoginRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "panel.urls"
WSGI_APPLICATION = "panel.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "panel.context.shell",
            ],
        },
    },
]

# A lease outlasts the busy timeout, so that a worker that waits for the database keeps its run.
RUN_LEASE_SECONDS = env.int("REDOUBT_LEASE_SECONDS", default=45)
_BUSY_SECONDS = 20
# Each node with an add-on is looked at this often; 0: only when somebody asks.
OBSERVE_INTERVAL = timedelta(minutes=env.int("REDOUBT_OBSERVE_MINUTES", default=15))

DATABASES = {
    "default": dj_database_url.parse(
        env.str("DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'panel.sqlite3'}"),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": _BUSY_SECONDS,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 10}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "panel.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
ACCOUNT_ADAPTER = "panel.accounts.ClosedAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
# Seconds for which a typed password is enough to act where a stolen session must not.
ACCOUNT_REAUTHENTICATION_TIMEOUT = env.int("REDOUBT_REAUTHENTICATION_SECONDS", default=300)
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("REDOUBT_TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("tabler", BASE_DIR / "node_modules/@tabler/core/dist"),
    ("inter", BASE_DIR / "node_modules/@fontsource-variable/inter"),
]
STATICFILES_FINDERS = [
    "panel.static_files.ChosenFilesFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", "woff2", "png", "gz", "br"]
ICONS_DIR = BASE_DIR / "node_modules/@tabler/icons/icons/outline"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
HTTPS = env.bool("REDOUBT_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=f"redis+socket://{BROKER_SOCKET}")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "visibility_timeout": 3600,
}
CELERY_TIMEZONE = "UTC"
# The database is the truth, the broker a bell: whatever it loses, the sweep enqueues again.
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "addons.tasks.runs_sweep",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "observe": {
        "task": "addons.tasks.observations_tick",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "forget": {
        "task": "addons.tasks.clients_forget",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "renew": {
        "task": "addons.tasks.renewals_tick",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "warn": {
        "task": "addons.tasks.endings_tick",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"paramiko": {"level": "CRITICAL"}},
}
MESSAGE_TAGS = {message_constants.ERROR: "danger"}
SILENCED_SYSTEM_CHECKS: list[str] = []
DJANGO_TABLES2_TEMPLATE = "components/table.html"
