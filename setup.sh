#!/usr/bin/env bash
# Installs what is missing, configures and builds in build/. Quiet when there is nothing to do.
#   ./setup.sh                 build
#   ./setup.sh run RECIPE …    build, then: pyrite run RECIPE …
#   ./setup.sh test            build, then: make check and make check-suite
set -euo pipefail
cd "$(dirname "$0")"

packages=(autoconf automake make gcc g++ pkg-config libcurl4-openssl-dev libcjson-dev libgsl-dev check
          libsqlite3-dev zlib1g-dev libzstd-dev libyaml-dev gnuplot-nox bubblewrap)

missing() {
    local package
    for package in "${packages[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

# gnuplot comes in several flavours, and any of them draws.
have_gnuplot() { command -v gnuplot >/dev/null; }

install_packages() {
    local wanted root=()
    if ! command -v dpkg-query >/dev/null; then
        if ! command -v pkg-config >/dev/null || ! pkg-config --exists libcurl libcjson gsl check sqlite3 zlib libzstd yaml-0.1; then
            echo "setup.sh: this is not Debian or Ubuntu. It would have installed: ${packages[*]}." >&2
            echo "setup.sh: install what your system calls these, then run it again." >&2
            exit 1
        fi
        return
    fi
    wanted=$(missing)
    if have_gnuplot; then wanted=$(grep -v '^gnuplot' <<<"$wanted" || true); fi
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "setup.sh: these packages are missing and there is no sudo: " $wanted >&2
            echo "setup.sh: ask an administrator for: apt-get install" $wanted >&2
            exit 1
        fi
        root=(sudo)
    fi
    echo "setup.sh: installing" $wanted
    if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $wanted >build/setup.log 2>&1; then
        "${root[@]}" apt-get update -qq >>build/setup.log 2>&1 || true
        if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $wanted >>build/setup.log 2>&1; then
            tail -5 build/setup.log >&2
            echo "setup.sh: apt-get could not install the packages above; the whole log is build/setup.log" >&2
            exit 1
        fi
    fi
}

# A quiet step: its output is shown only when it fails.
quietly() {
    local what=$1
    shift
    if ! "$@" >build/setup.log 2>&1; then
        tail -40 build/setup.log >&2
        echo "setup.sh: $what failed; the whole log is build/setup.log" >&2
        exit 1
    fi
}

mkdir -p build
install_packages
if [ ! -x configure ] || [ configure.ac -nt configure ] || [ Makefile.am -nt Makefile.in ]; then
    quietly autoreconf autoreconf -fi
fi
if [ ! -f build/Makefile ] || [ configure -nt build/Makefile ]; then
    echo "setup.sh: configuring"
    (cd build && ../configure >setup.log 2>&1) || {
        tail -20 build/setup.log >&2
        echo "setup.sh: configure failed; see build/setup.log and build/config.log" >&2
        exit 1
    }
fi
if ! make -C build -q pyrite >/dev/null 2>&1; then
    echo "setup.sh: building"
    quietly make make -C build -j"$(nproc)"
fi

case ${1:-build} in
build) echo "setup.sh: build/pyrite is ready" ;;
run) exec build/pyrite "$@" ;;
test)
    make -C build -j"$(nproc)" check
    exec make -C build check-suite
    ;;
*)
    echo "setup.sh: '$1' is not one of: build, run RECIPE, test" >&2
    exit 2
    ;;
esac
