# The panel: the same requirements and the same commands as without containers.
FROM node:20-bookworm-slim AS assets
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund --ignore-scripts

FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 REDOUBT_STATE=/var/lib/redoubt-panel
WORKDIR /srv/redoubt
COPY requirements.txt ./
RUN pip install --requirement requirements.txt
COPY manage.py ./
COPY panel panel
COPY instances instances
COPY addons addons
COPY templates templates
COPY static static
COPY --from=assets /build/node_modules node_modules
RUN useradd --system --uid 10001 --home-dir /var/lib/redoubt-panel redoubt \
 && install -d -m 0700 -o redoubt -g redoubt /var/lib/redoubt-panel
USER redoubt
VOLUME /var/lib/redoubt-panel
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "python:panel.supervisor.web", "--bind", "0.0.0.0:8000", "panel.wsgi"]
