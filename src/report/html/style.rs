//! The look of the page. Text on every ground has a contrast of 4.5 or more, marks of 3 or more
//! (WCAG 2.2, 1.4.3 and 1.4.11).

pub(super) const CSS: &str = r#"
:root { color-scheme: light dark; --bg: #ffffff; --card: #f6f7f9; --text: #1b1f24; --muted: #545d68;
  --line: #d5d9df; --mark: #2f66c8; --high: #b3261e; --medium: #8a4b00; --low: #545d68; --ok: #17692f; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171c; --card: #1c2027; --text: #e6e9ee;
  --muted: #a9b1bc; --line: #353b45; --mark: #6ea0f5; --high: #ff8a80; --medium: #ffb74d; --low: #a9b1bc;
  --ok: #7bd88f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1.25rem 4rem; background: var(--bg);
  color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; } p { margin: .25rem 0; overflow-wrap: anywhere; }
.muted, caption, figcaption { color: var(--muted); } code { font: .9em ui-monospace, Menlo, Consolas, monospace; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.cards dl > div, figure { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.cards dl { display: contents; } .cards dt { color: var(--muted); } .cards dd { margin: 0; font-weight: 700; line-height: 1.4; overflow-wrap: anywhere; }
.bars { table-layout: fixed; } .bars th { width: 44%; color: var(--text); font-weight: 400; overflow-wrap: anywhere; } .bars td.n { width: 18%; }
.bar { display: block; min-width: 2px; height: .9rem; border-radius: 2px; background: var(--mark); } .bar.high { background: var(--high); } .bar.ok { background: var(--ok); } .bar.muted { background: var(--muted); }
figure { margin: 0 0 1rem; } figure > svg { display: block; width: 100%; max-width: 38rem; height: auto; margin-top: .5rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem; align-items: start; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .92em; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 600; overflow-wrap: break-word; } thead th { overflow-wrap: normal; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.n + td:not(.n), th.n + th:not(.n) { padding-left: .8rem; } .d { white-space: nowrap; } tr.more td { border-top: 0; padding-top: 0; } .wide { overflow-x: auto; } summary { cursor: pointer; color: var(--muted); } details { margin-top: .4rem; }
.tag { font-weight: 700; white-space: nowrap; } .high { color: var(--high); } .medium { color: var(--medium); }
.low, .info { color: var(--low); } .ok { color: var(--ok); }
article { border-left: 4px solid var(--line); padding: .25rem 0 .25rem .9rem; margin: .9rem 0; }
article.high { border-color: var(--high); } article.medium { border-color: var(--medium); }
article.high, article.medium, article.low, article.info { color: var(--text); }
ul { margin: .25rem 0; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
svg text { fill: var(--muted); font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg .label { fill: var(--text); } svg .grid { stroke: var(--line); stroke-width: 1; } svg .mark { fill: var(--mark); }
svg .bad { fill: var(--high); }
svg .curve { fill: none; stroke: var(--mark); stroke-width: 2; stroke-linejoin: round; } svg .limit { stroke: var(--high); stroke-width: 1.5; stroke-dasharray: 5 4; }
@media screen and (max-width: 34rem) { figure, .wide { overflow-x: auto; } figure > svg { min-width: 30rem; } .wide table { min-width: 36rem; } }
@media print { :root { --bg: #fff; --card: #fff; --text: #000; --muted: #444; --line: #bbb; --mark: #345; --high: #8c1d18;
  --medium: #6b3a00; --low: #444; --ok: #0f4d22; } body { max-width: none; padding: 0; font-size: 11px; }
  figure, article, .cards dl > div, tr { break-inside: avoid; } details::details-content { content-visibility: visible; height: auto; } details > *:not(summary) { display: block; }
  summary, .numbers { display: none; }
  .plots { display: block; } }
"#;
