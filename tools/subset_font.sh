#!/bin/sh
# Cuts DejaVu Sans 2.37 down to the characters that reports and overlays print.
# Usage: tools/subset_font.sh DejaVuSans.ttf        (needs fonttools 4: pip install fonttools)
set -eu
pyftsubset "$1" --output-file=assets/fonts/DejaVuSans-subset.ttf --no-hinting --layout-features=kern \
    --unicodes=U+0020-007E,U+00B0,U+00B1,U+00B7,U+00D7,U+2013,U+2014,U+2018,U+2019,U+2026
