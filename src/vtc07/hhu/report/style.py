"""How a report looks: on paper (A4, light), and on a screen, light or dark as its user likes it."""

from __future__ import annotations

from vtc07.hhu.report.markup import quoted


def rules(*, page_head: str, page_of: tuple[str, str, str]) -> str:
    """Return the rules of style.

    ``page_head``: stands above every printed page. ``page_of``: what stands before, between and
    behind the page's number and the number of pages.
    """
    before, between, behind = (quoted(text) for text in page_of)
    return f"""
@page {{
  size: A4; margin: 20mm 15mm 18mm;
  @top-left {{ content: {quoted(page_head)}; font: 8pt sans-serif; color: #555; }}
  @bottom-right {{
    content: {before} counter(page) {between} counter(pages) {behind};
    font: 8pt sans-serif; color: #555;
  }}
}}{_RULES}"""


_RULES = """
:root {
  color-scheme: light;
  --paper: #fff; --ink: #1a1a1a; --faint: #5a5f66; --line: #c9ced6; --panel: #f4f6f8;
  --done: #3b7dba; --refused: #c2500f; --refused-ground: #f7d9c6; --open: #6a3d9a;
  --open-ground: #e3d6ef; --link: #0b57a4;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --paper: #14171b; --ink: #e8eaed; --faint: #a4abb5; --line: #444b55; --panel: #1e2329;
    --done: #4f93d2; --refused: #f08a4b; --refused-ground: #4a2a17; --open: #c3a0e8;
    --open-ground: #3a2b4d; --link: #8ab8f0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
a { color: var(--link); }
h1 { font-size: 1.9rem; margin: 0; overflow-wrap: anywhere; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; padding-bottom: .25rem;
  border-bottom: 2px solid var(--ink); break-after: avoid; }
h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .1rem .75rem;
  align-items: baseline; break-after: avoid; overflow-wrap: anywhere; }
h4 { font-size: .9rem; margin: .8rem 0 .3rem; color: var(--faint); break-after: avoid; }
p { margin: .35rem 0; }
.kicker { color: var(--faint); margin: 0 0 .2rem; }
.lead { font-size: 1.1rem; }
.faint { color: var(--faint); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0; padding: 0; list-style: none; }
.tiles li { border: 1px solid var(--line); border-radius: 6px; padding: .55rem .75rem;
  background: var(--panel); break-inside: avoid; }
.tiles .faint { display: block; font-size: .85rem; }
.tiles strong { display: block; font-size: 1.6rem; line-height: 1.15; }
.sign { display: inline-block; min-width: 1.1em; font-weight: 700; }
.is-refused .sign, .sign.is-refused { color: var(--refused); }
.is-open .sign, .sign.is-open { color: var(--open); }
.is-done .sign, .sign.is-done { color: var(--done); }
figure { margin: 1rem 0; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .35rem; }
svg { max-width: 100%; height: auto; display: block; }
svg.chart, svg.legend { width: 100%; max-width: 46rem; }
svg.legend { margin-bottom: .4rem; }
svg text { fill: var(--ink); font: 12px system-ui, "Segoe UI", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
svg .number { font-weight: 600; }
svg .scale { fill: var(--faint); font-size: 11px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--ink); stroke-width: 1; }
svg .segment { stroke: var(--ink); stroke-width: 1; }
svg .inside { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 4px;
  stroke-linejoin: round; }
.r-done { fill: var(--done); }
.r-refused { fill: url(#p-refused); }
.r-open { fill: url(#p-open); }
.r-todo { fill: var(--paper); stroke-dasharray: 3 2; }
.p-refused-ground { fill: var(--refused-ground); }
.p-refused-line { stroke: var(--refused); stroke-width: 5; }
.p-open-ground { fill: var(--open-ground); }
.p-open-line { stroke: var(--open); stroke-width: 2; fill: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .28rem .6rem .28rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-size: .82rem; color: var(--faint); font-weight: 600; }
tbody th { font-size: inherit; color: inherit; font-weight: 400; }
th.number, td.number { text-align: right; overflow-wrap: normal; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
tr { break-inside: avoid; }
#attention td:nth-child(3) { min-width: 8rem; }
#attention td:nth-child(4) { min-width: 14rem; }
tbody th { min-width: 7rem; }
.counts { width: auto; min-width: 60%; }
.counts tfoot td, .counts tfoot th { font-weight: 600; border-bottom: 0; color: inherit; }
.token, code { font-family: ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace;
  font-size: .92em; }
.token { white-space: nowrap; }
code { overflow-wrap: anywhere; }
.time, .result { white-space: nowrap; }
.meter { border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; margin: 0 0 .9rem;
  break-inside: avoid-page; }
.meter h3 .place { font-weight: 400; }
.meter h3 .badge { margin-left: auto; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .6rem; font-size: .85rem; white-space: nowrap; }
.badge.is-refused { color: var(--refused); }
.badge.is-open { color: var(--open); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .4rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
.history { overflow-x: auto; }
.history, .history figure { break-inside: auto; }
.values { width: auto; min-width: 50%; }
.notice { border-left: 4px solid var(--open); padding: .2rem .7rem; background: var(--panel); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
.signature { display: none; }
#check { break-inside: avoid; }
@media screen {
  .meter { content-visibility: auto; contain-intrinsic-size: auto 14rem; }
}
@media screen and (max-width: 34rem) {
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .3rem; }
  .time { white-space: normal; }
}
@media print {
  body { font-size: 9.5pt; }
  main { max-width: none; padding: 0; }
  a { color: inherit; text-decoration: none; }
  .wide, .history { overflow: visible; }
  .tiles { grid-template-columns: repeat(5, 1fr); }
  .tiles strong { font-size: 14pt; }
  .tiles li, .meter { background: none; }
  .from-new-page { break-before: page; }
  .signature { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8mm; margin-top: 16mm;
    break-inside: avoid; }
  .signature span { border-top: 1px solid var(--ink); padding-top: 1mm; color: var(--faint); }
}
"""
