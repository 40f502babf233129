# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws two kinds of plots as SVG: lines on two logarithmic axes, and bars."""

import html
import math

# Each series has a colour, a dash pattern and a marker, so that a reader who sees no colours can tell them apart. The
# contrast of each colour with white and with the dark background is at least 3.
COLOURS = ("#1c71d8", "#c64600", "#26875c", "#9141ac", "#77767b", "#986a44", "#c01c28", "#2a7fa8")
DASHES = ("", "8 4", "2 3", "8 3 2 3")
WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 90, 308, 72, 68
SIZE = 20    # more than 10 pixels at half of the width of a page
STYLE = """<style>
  .ground { fill: #ffffff } text { fill: #222222 } .grid { stroke: #dddddd } .mark { stroke: #222222 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #242424 } text { fill: #eeeeee } .grid { stroke: #505050 } .mark { stroke: #eeeeee }
  }
</style>"""


class Svg:
    def __init__(self, title, height=HEIGHT):
        self.height = height
        self.parts = [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">' % (WIDTH, height),
            STYLE,
            '<rect class="ground" width="100%" height="100%"/>',
        ]
        self.text(12, 28, title, size=SIZE + 2, weight="bold")

    def text(self, x, y, text, anchor="start", size=SIZE, weight="normal"):
        self.parts.append('<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" font-weight="%s">%s</text>'
                          % (x, y, anchor, size, weight, html.escape(text)))

    def line(self, points, attributes):
        self.parts.append('<polyline points="%s" fill="none" %s/>'
                          % (" ".join("%.1f,%.1f" % point for point in points), attributes))

    def marker(self, x, y, number, colour):
        shape = (
            '<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{c}"/>',
            '<rect x="{l:.1f}" y="{t:.1f}" width="8" height="8" fill="{c}"/>',
            '<path d="M{x:.1f} {t:.1f} l5 9 h-10 z" fill="{c}"/>',
            '<path d="M{x:.1f} {t:.1f} l5 4.5 l-5 4.5 l-5 -4.5 z" fill="{c}"/>',
        )[number % 4]
        self.parts.append(shape.format(x=x, y=y, l=x - 4, t=y - 4.5, c=colour))

    def bar(self, x, y, width, height, colour):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>'
                          % (x, y, width, height, colour))

    def write(self, path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]))


def duration(nanoseconds):
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= factor:
            return "%g %s" % (nanoseconds / factor, unit)
    return "%g ns" % nanoseconds


def lines(path, title, x_label, series):
    """series: a dictionary from names to lists of pairs of a number and a duration in nanoseconds."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_range = math.log10(min(xs)), math.log10(max(xs))
    y_range = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    svg = Svg(title)
    svg.text(12, 54, "both scales are logarithmic", size=SIZE - 1)

    def place(x, y):
        return (LEFT + (math.log10(x) - x_range[0]) / ((x_range[1] - x_range[0]) or 1) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (math.log10(y) - y_range[0]) / ((y_range[1] - y_range[0]) or 1)
                * (HEIGHT - TOP - BOTTOM))

    for exponent in range(y_range[0], y_range[1] + 1):
        left, y = place(min(xs), 10 ** exponent)
        svg.line([(left, y), (WIDTH - RIGHT, y)], 'class="grid"')
        svg.text(left - 8, y + 7, duration(10 ** exponent), anchor="end")
    for x in sorted(set(xs)):
        svg.text(place(x, 10 ** y_range[0])[0], HEIGHT - BOTTOM + 26, "{:,}".format(x), anchor="middle")
    svg.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, anchor="middle")

    ends = []
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(x, y) for x, y in sorted(points)]
        svg.line(placed, 'stroke="%s" stroke-width="2.5" stroke-dasharray="%s"' % (colour, DASHES[number % 4]))
        for point in placed:
            svg.marker(*point, number, colour)
        ends.append([placed[-1][1], number, name, colour])
    # The names are placed beside the last points, each with its marker. They must not overlap or lie below the plot.
    lowest = HEIGHT - BOTTOM + 4
    for y, number, name, colour in sorted(ends, reverse=True):
        lowest = min(y + 6, lowest)
        svg.marker(WIDTH - RIGHT + 16, lowest - 6, number, colour)
        svg.text(WIDTH - RIGHT + 26, lowest, name, size=SIZE - 1)
        lowest -= SIZE + 4
    svg.write(path)


def bars(path, title, values, digits, mark=None):
    """values: pairs of a name and a value; digits: after the point; mark: where a line is drawn across the bars.

    A value of more than ten times the second largest is not drawn to scale.
    """
    drawn = sorted(value for _, value in values)
    cut = len(drawn) > 1 and drawn[-1] > 10 * drawn[-2]
    limit = drawn[-2] * 1.2 if cut else drawn[-1]
    row, left, right = 32, 290, 216 if cut else 110
    height = TOP + row * len(values) + 20
    svg = Svg(title, height)
    for number, (name, value) in enumerate(values):
        y = TOP + row * number
        width = min(value, limit) / limit * (WIDTH - left - right)
        svg.text(left - 8, y + 21, name, anchor="end", size=SIZE - 1)
        svg.bar(left, y + 3, width, row - 8, COLOURS[0] if name.startswith("sel-glib") else "#9a9996")
        svg.text(left + width + 6, y + 21, "%.*f%s" % (digits, value, " (off the scale)" if value > limit else ""))
    if mark is not None:
        x = left + mark / limit * (WIDTH - left - right)
        svg.line([(x, TOP - 4), (x, height - 14)], 'class="mark" stroke-dasharray="4 3"')
    svg.write(path)
