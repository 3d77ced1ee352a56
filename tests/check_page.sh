#!/usr/bin/env bash
# The report's page in a real browser: 10,000 hostile samples, filters, keys, links, a phone's width, the dark; no
# network and no error. Needs Chromium and Python's playwright (its own browsers are not used); $BROWSER_PYTHON names
# a Python that has it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${BROWSER_PYTHON:-python3}

skip() {
    echo "SKIP: $*"
    exit 77
}
for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
    browser=$(command -v "$name") && break
done
[ -n "${browser:-}" ] || skip "there is no Chromium (apt-get install chromium)"
"$python" -c 'import playwright' 2>/dev/null ||
    skip "$python has no playwright (pip install playwright, or BROWSER_PYTHON=a Python that has it)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/check_page.py" "${PYRITE:-./pyrite}" "$browser" "$here/tiny.yaml" "$work" || exit 1
