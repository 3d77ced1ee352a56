#!/usr/bin/env python3
"""Draws what `pyrite bench growth --out FILE` measured: cost over linear against how many times the work grew, as SVG by
gnuplot.

usage: draw-growth.py FILE.json PICTURE.svg"""

import json
import subprocess
import sys

COLOURS = {"batch": "#0072b2", "model": "#d55e00", "context": "#009e73", "decoding": "#cc79a7", "threads": "#e69f00"}
SETTINGS = """set terminal svg size 760,520 dynamic font 'Helvetica,13' background 'white'
set encoding utf8
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.4
set grid lc rgb '#dddddd' lt 1 lw 0.6
set key bmargin center vertical maxrows 3 Left reverse samplen 2 spacing 1.2 noenhanced
set logscale x 2
set logscale y 2
set xrange [0.93:*]
set format x '×%g'
set yrange [0.03:4.5]
set ytics ('1/32' 0.03125, '1/16' 0.0625, '1/8' 0.125, '1/4' 0.25, '1/2' 0.5, '1' 1, '2' 2, '4' 4)
set xlabel 'how many times larger (threads: how many)'
set title 'Time (solid) and memory (dashed) over linear growth: 1 is linear, below is cheaper'
"""


def points(axis):
    """(times, time over linear, memory over linear); for threads, processor time over that of one."""
    first = axis["points"][0]
    for point in axis["points"]:
        factor = point["factor"]
        time = point["seconds"] / first["seconds"]
        memory = point["peak_bytes"] / first["peak_bytes"]
        yield (factor, time * factor, None) if axis["inverse"] else (factor, time / factor, memory / factor)


def script(results):
    data, plots = [], ["1 with lines lc rgb '#444444' lw 1 title 'linear'"]
    for axis in results["axes"]:
        name, colour = axis["name"], COLOURS.get(axis["name"], "#888888")
        rows = list(points(axis))
        data.append(f"${name} << END\n" + "\n".join(f"{x} {t} {'NaN' if m is None else m}" for x, t, m in rows) + "\nEND")
        sizes = f"{axis['points'][0]['size']:.0f} to {axis['points'][-1]['size']:.0f} {axis['unit']}"
        style = f"lc rgb '{colour}' lw 1.8 pt 7 ps 0.5"
        plots.append(f"${name} using 1:2 with linespoints {style} title '{name}: {sizes}'")
        if not axis["inverse"]:
            plots.append(f"${name} using 1:3 with linespoints {style} dt 2 notitle")
    return SETTINGS + "\n".join(data) + "\nplot " + ", ".join(plots) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        results = json.load(file)
    drawn = subprocess.run(["gnuplot", "-"], input=script(results), text=True, stdout=subprocess.PIPE, check=True)
    with open(sys.argv[2], "w") as file:
        file.write(drawn.stdout)


if __name__ == "__main__":
    main()
