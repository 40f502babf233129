# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws two kinds of plots as SVG: lines on two logarithmic axes, and bars."""

import html
import math

COLOURS = ("#1a5fb4", "#c64600", "#26a269", "#813d9c", "#5e5c64", "#e5a50a", "#a51d2d", "#2190a4")
WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 46, 50


class Svg:
    def __init__(self, title, height=HEIGHT):
        self.height = height
        self.parts = [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">'
            % (WIDTH, height),
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        self.text(LEFT, 24, title, size=15, weight="bold")

    def text(self, x, y, text, anchor="start", size=12, weight="normal", colour="#222"):
        self.parts.append('<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" font-weight="%s" fill="%s">%s</text>'
                          % (x, y, anchor, size, weight, colour, html.escape(text)))

    def line(self, points, colour, width=1.0, dash=""):
        self.parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"%s/>' % (
            " ".join("%.1f,%.1f" % point for point in points), colour, width,
            ' stroke-dasharray="%s"' % dash if dash else ""))

    def circle(self, x, y, colour):
        self.parts.append('<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>' % (x, y, colour))

    def bar(self, x, y, width, height, colour):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>'
                          % (x, y, width, height, colour))

    def write(self, path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]))


def short(value):
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return "%g%s" % (value / factor, unit)
    return "%g" % value


def lines(path, title, x_label, y_label, series):
    """series: a dictionary from names to lists of pairs."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_range = math.log10(min(xs)), math.log10(max(xs))
    y_range = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    svg = Svg(title)

    def place(x, y):
        return (LEFT + (math.log10(x) - x_range[0]) / ((x_range[1] - x_range[0]) or 1) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (math.log10(y) - y_range[0]) / ((y_range[1] - y_range[0]) or 1)
                * (HEIGHT - TOP - BOTTOM))

    for exponent in range(y_range[0], y_range[1] + 1):
        left, y = place(min(xs), 10 ** exponent)
        svg.line([(left, y), (WIDTH - RIGHT, y)], "#ddd")
        svg.text(left - 8, y + 4, short(10 ** exponent), anchor="end")
    for x in sorted(set(xs)):
        svg.text(place(x, 10 ** y_range[0])[0], HEIGHT - BOTTOM + 20, short(x), anchor="middle")
    svg.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, anchor="middle")
    svg.text(LEFT, TOP - 6, y_label, colour="#555")

    ends = []
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(x, y) for x, y in sorted(points)]
        svg.line(placed, colour, 2)
        for point in placed:
            svg.circle(*point, colour)
        ends.append([placed[-1][1], name, colour])
    # The names are placed beside the last points. They must not overlap or lie below the plot.
    lowest = HEIGHT - BOTTOM + 4
    for y, name, colour in sorted(ends, reverse=True):
        lowest = min(y + 4, lowest)
        svg.text(WIDTH - RIGHT + 10, lowest, name, colour=colour)
        lowest -= 15
    svg.write(path)


def bars(path, title, unit, values, mark=None):
    """values: pairs of a name and a value; mark: the value at which a line is drawn across the bars."""
    row, left, right = 26, 230, 90
    height = TOP + row * len(values) + 20
    top_value = max(value for _, value in values)
    svg = Svg(title, height)
    for number, (name, value) in enumerate(values):
        y = TOP + row * number
        width = value / top_value * (WIDTH - left - right)
        svg.text(left - 8, y + 15, name, anchor="end")
        svg.bar(left, y + 3, width, row - 8, COLOURS[0] if name.startswith("sel-glib") else "#9a9996")
        svg.text(left + width + 6, y + 15, "%.3g%s" % (value, unit))
    if mark is not None:
        x = left + mark / top_value * (WIDTH - left - right)
        svg.line([(x, TOP - 4), (x, height - 14)], "#222", 1, "4 3")
    svg.write(path)
