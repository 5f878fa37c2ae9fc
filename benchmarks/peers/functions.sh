# The functions of the plain shell script: look first, change only what differs.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
changed=0

folder() { # PATH
    if [ "$(stat -c '%F %a %U:%G' "$1" 2>/dev/null)" != "directory 755 root:root" ]; then
        install -d -m 755 -o root -g root "$1"
        changed=$((changed + 1))
    fi
}

file() { # PATH, the content on standard input
    wanted=$(mktemp)
    cat >"$wanted"
    if ! cmp -s "$wanted" "$1" || [ "$(stat -c '%a %U:%G' "$1")" != "644 root:root" ]; then
        install -m 644 -o root -g root "$wanted" "$1"
        changed=$((changed + 1))
    fi
    rm "$wanted"
}

user() { # NAME
    if ! getent passwd "$1" >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
        changed=$((changed + 1))
    fi
}

packages() { # NAME…
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            apt-get -qq update
            apt-get -qq install --no-install-recommends "$@" >/dev/null
            changed=$((changed + 1))
            return
        fi
    done
}

unit() { # NAME
    if ! systemctl is-enabled --quiet "$1" || ! systemctl is-active --quiet "$1"; then
        systemctl daemon-reload
        systemctl enable --now --quiet "$1"
        changed=$((changed + 1))
    fi
}
