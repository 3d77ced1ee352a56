#!/usr/bin/env bash
# The estimators against SciPy, statsmodels and scikit-learn, a few cases of each. $STATISTICS_PYTHON names a Python
# that has them.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${STATISTICS_PYTHON:-python3}

command -v "$python" >/dev/null || {
    echo "SKIP: there is no $python"
    exit 77
}
exec "$python" "$here/cross_check.py" "$(dirname "${PYRITE:-./pyrite}")/tests/show_statistics" --cases 20
