# SPDX-License-Identifier: BSD-2-Clause
"""iomux-bench(1): every I/O model of iomuxd, measured on the machine at hand.

plan says what is to be measured, runner does it with process, server, load and meter, state remembers it; figures,
claims and advice say what it means; svg, report and summary show it; live looks at a daemon that runs already."""
