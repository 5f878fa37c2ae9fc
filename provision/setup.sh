#!/bin/sh
# Make a bare Debian or Ubuntu computer ready for `make up`: packages, Docker, and .venv.
# Usage: provision/setup.sh [--test] [--vm]
#   --test  also what the tests need, a browser
#   --vm    also what virtual machines need, libvirt and QEMU
# It installs only what is missing; a second run finds that nothing is.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
exec 3>&2 # errors reach the operator even from inside a step
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
DOCKER_LOG=/var/log/dockerd.log
PROXIES=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY
SYSTEM_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

die() {
    printf 'error: %s\n next: %s\n' "$1" "$2" >&3
    exit 1
}

tenths() { echo $(($(date +%s%N) / 100000000)); }

# step TITLE COMMAND…: runs the command, shows how long it took, and its last words when it fails.
step() {
    title=$1
    shift
    began=$(tenths)
    printf '… %s\n' "$title"
    if ! "$@" >"$LOG" 2>&1; then
        tail -n 20 "$LOG" | sed 's/^/    /' >&2
        die "$title: did not succeed" "solve the problem that the lines above name, then give the same command"
    fi
    took=$(($(tenths) - began))
    printf '✓ %s (%d.%d s)\n' "$title" $((took / 10)) $((took % 10))
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "this needs root, and there is no sudo" "run \`make setup\` as root"
        sudo --preserve-env="$PROXIES" "$@" # apt and dockerd go where this shell goes
    fi
}

# --- the distribution ---------------------------------------------------------------------------

# The oldest release of a distribution that hosts and this computer may run. This computer may run a later one:
# every package is asked for by its name.
oldest() {
    sed -n "s/^ *(\"$1\", \"\([0-9.]*\)\"): .*/\1/p" provision/agent/distributions.py | sort -V | head -n 1
}

known_distribution() {
    [ -r /etc/os-release ] || return 1
    # shellcheck disable=SC1091
    . /etc/os-release
    first=$(oldest "${ID:-}")
    [ -n "$first" ] && printf '%s\n' "$first" "${VERSION_ID:-999}" | sort -VC
}

known_distribution || die "this is $(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-unknown}" || echo unknown)" \
    "use Debian $(oldest debian), Ubuntu $(oldest ubuntu) or a later one of either"

# --- packages -----------------------------------------------------------------------------------

missing=
want() { # want PACKAGE COMMAND…: the package is missing when the command fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has() { command -v "$1"; }

want python3 test -x /usr/bin/python3
want python3-venv /usr/bin/python3 -c 'import ensurepip'
want docker.io has dockerd
want iptables has iptables
want vagrant has vagrant
want mmdebstrap has mmdebstrap
want openssh-client has ssh-keygen
want ca-certificates has update-ca-certificates
[ "$(id -u)" -eq 0 ] || want uidmap has newuidmap # mmdebstrap without root
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
    want apparmor has apparmor_parser # where the kernel has AppArmor on, Docker starts no container without it
fi
asked() { # asked OPTION WORD…: whether the option is among the words
    option=$1
    shift
    case " $* " in *" $option "*) ;; *) return 1 ;; esac
}
if asked --vm "$@"; then
    want libvirt-daemon-system test -x /usr/sbin/libvirtd
    want libvirt-clients has virsh
    want dnsmasq-base has dnsmasq
    want qemu-system-x86 has qemu-system-x86_64
    want qemu-utils has qemu-img
    want vagrant-libvirt test -e /usr/share/doc/vagrant-libvirt
    want e2fsprogs has mke2fs # this and the following ones make boxes
    want grub-common has grub-mkimage
    want grub-pc-bin test -e /usr/lib/grub/i386-pc/boot.img
    [ -d /run/systemd/system ] || want tini has tini # to start libvirtd by hand
fi
if asked --test "$@"; then
    want chromium sh -c 'command -v chromium || command -v chromium-browser || command -v google-chrome'
fi

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

if [ -n "$missing" ]; then
    step "apt-get update" apt update
    # From Debian 13 on, docker.io is the engine alone.
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || missing="$missing docker-cli"
    for package in $missing; do
        apt-cache show "$package" >/dev/null 2>&1 ||
            die "apt knows no package $package here" "add the archive that has it (or install it by hand)"
    done
    # shellcheck disable=SC2086
    step "install$missing" apt install --yes --no-install-recommends $missing
fi

# --- Docker -------------------------------------------------------------------------------------

answers() { timeout 20 docker version >/dev/null 2>&1; }

start_by_hand() {
    as_root sh -c "setsid dockerd >>$DOCKER_LOG 2>&1 </dev/null &"
}

wait_for_docker() {
    for _ in $(seq 120); do
        as_root docker version >/dev/null 2>&1 && return
        sleep 0.5
    done
    echo "dockerd does not answer"
    [ ! -f "$DOCKER_LOG" ] || tail -n 15 "$DOCKER_LOG"
    return 1
}

if ! answers; then
    if ! as_root docker version >/dev/null 2>&1; then
        if [ -d /run/systemd/system ]; then
            step "systemctl start docker" as_root systemctl start docker
        else
            step "no service manager runs: start dockerd by hand, its log is $DOCKER_LOG" start_by_hand
        fi
        step "wait for Docker" wait_for_docker
    fi
    answers || die "Docker runs, but $(id -un) may not use it" \
        "sudo usermod -aG docker $(id -un), log in again, then \`make setup\`"
fi

# --- Python -------------------------------------------------------------------------------------

export PIP_DISABLE_PIP_VERSION_CHECK=1
if [ -r "$SYSTEM_CERTIFICATES" ]; then # a network may have certificates of its own, and the system knows them
    export SSL_CERT_FILE="${SSL_CERT_FILE:-$SYSTEM_CERTIFICATES}" PIP_CERT="${PIP_CERT:-$SYSTEM_CERTIFICATES}"
fi

# All that .venv is made from, and its folder: as long as this is the same, .venv is up to date.
recipe() {
    pwd
    /usr/bin/python3 --version
    sha256sum provision/setup.sh pyproject.toml requirements.txt roles/locks/uv.txt
}

stamp=.venv/recipe
if [ "$(cat "$stamp" 2>/dev/null)" = "$(recipe)" ] && .venv/bin/python -c '' 2>/dev/null; then
    [ -n "$missing" ] || echo "✓ set-up: everything holds"
    exit
fi

rm -f "$stamp"
if [ "$(.venv/bin/python --version 2>/dev/null)" != "$(/usr/bin/python3 --version)" ] || [ ! -x .venv/bin/pip ]; then
    step "make .venv" /usr/bin/python3 -m venv --clear .venv
fi
step "install uv" .venv/bin/python -m pip install --require-hashes --requirement roles/locks/uv.txt
step "install what requirements.txt locks" \
    .venv/bin/uv pip sync --python .venv --require-hashes --compile-bytecode requirements.txt
step "install hubwright" \
    .venv/bin/uv pip install --python .venv --no-deps --no-build-isolation --offline --editable .
recipe >"$stamp"
