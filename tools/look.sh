#!/usr/bin/env bash
# Pictures of everything a reader sees: the HTML report on a desk, on a phone, in the dark and on paper, the PDF's
# pages, and the terminal.
#   tools/look.sh [RUN-OR-SCORE-FOLDER [PICTURES]]
# Without a folder it runs tests/tiny.yaml first. Pictures go to FOLDER/look. What a missing tool would have made is
# named at the end. Chromium takes the HTML's, driven by Python's playwright ($BROWSER_PYTHON names a Python that has it);
# pdftoppm the PDF's; tmux the terminal's.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
pyrite=$(realpath "${PYRITE:-$top/build/pyrite}")
python=${BROWSER_PYTHON:-python3}
missing=()
work=$(mktemp -d)
trap 'rm -rf "$work"; tmux -L "look$$" kill-server 2>/dev/null || true' EXIT

[ -x "$pyrite" ] || { echo "look.sh: $pyrite is not there; ./setup.sh builds it, or PYRITE=… names one" >&2; exit 2; }
folder=${1:-$top/build/look-run}
[ $# -gt 0 ] || "$pyrite" run "$top/tests/tiny.yaml" --out "$folder" >/dev/null 2>&1
[ -f "$folder/report/report.html" ] || "$pyrite" report "$folder" >/dev/null || exit 2
pictures=${2:-$folder/look}
mkdir -p "$pictures"
rm -f "$pictures"/*.png "$pictures"/*.ansi "$pictures"/page.pdf

has() { command -v "$1" >/dev/null; }

# What a terminal of 110 × 40 shows after a command has run for so long: NAME SECONDS COMMAND…
capture() {
    local name=$1 seconds=$2 shell shown
    shift 2
    shell=$(printf '%q ' "$@")
    shown=${shell//$pyrite/pyrite}
    shown=${shown//$top\//}
    tmux -L "look$$" -f /dev/null new-session -d -x 110 -y 40 -c "$work" "printf '$ %s\\n' $(printf %q "$shown"); $shell; sleep 600"
    sleep "$seconds"
    tmux -L "look$$" capture-pane -e -p >"$pictures/terminal-$name.ansi"
    tmux -L "look$$" kill-server
    sleep 0.2
}
if has tmux; then
    capture help 1 "$pyrite" --help
    capture list 1 "$pyrite" list suite
    capture running 1.2 "$pyrite" run "$top/tests/tiny.yaml" --out run --set steps.sft.steps=3000
    capture error 1 "$pyrite" run "$top/tests/tiny.yaml" --out other --set steps.sft.lrate=1
    capture score 3 "$pyrite" score --outputs smollm2="$top/tests/fixtures/refusal/xstest_smollm2.jsonl" \
        --suite refusal,length --format markdown
else
    missing+=("terminal: tmux is not installed")
fi

for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
    browser=$(command -v "$name") && break
done
if [ -z "${browser:-}" ]; then
    missing+=("HTML: Chromium is not installed")
elif ! "$python" -c 'import playwright' 2>/dev/null; then
    missing+=("HTML: $python has no playwright (pip install playwright, or BROWSER_PYTHON=a Python that has it)")
else
    "$python" "$top/tools/look.py" "$browser" "$folder/report/report.html" "$pictures" 2>"$work/browser.log" ||
        { cat "$work/browser.log" >&2; exit 1; }
fi

# The pages of a PDF as pictures: FILE NAME
draw_pages() { pdftoppm -r 70 -png "$1" "$pictures/$2"; }
if has pdftoppm; then
    if [ -f "$pictures/page.pdf" ]; then draw_pages "$pictures/page.pdf" print; fi
    if [ -f "$folder/report/report.pdf" ]; then
        draw_pages "$folder/report/report.pdf" pdf
    else
        missing+=("PDF: $folder/report has no report.pdf (it needs a TeX)")
    fi
else
    missing+=("PDF and print: pdftoppm is not installed (poppler-utils)")
fi

ls "$pictures" | sed "s|^|$pictures/|"
for what in "${missing[@]+"${missing[@]}"}"; do echo "missing: $what"; done
[ -n "$(ls "$pictures")" ]
