"""How a report looks: light and dark, on paper, for the keyboard and for eyes that tell few colours apart."""

STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--quiet:#57606a;--rule:#d0d7de;--panel:#f6f8fa;--link:#0550ae;
--good:#116329;--bad:#a40e26;
--c0:#0057b7;--c1:#b34700;--c2:#00734f;--c3:#8e2f86;--c4:#7a5c00;--c5:#a3123f;--c6:#00707f;--c7:#4b4f57}
@media (prefers-color-scheme:dark){:root{--page:#0f1419;--text:#e6edf3;--quiet:#9ba7b4;--rule:#38424d;--panel:#182028;
--link:#79b8ff;--good:#56d364;--bad:#ff8f87;
--c0:#6cb2ff;--c1:#ff9e64;--c2:#4fd1a1;--c3:#e59be0;--c4:#e3c15c;--c5:#ff8fab;--c6:#5cd3e0;--c7:#b4bac4}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
h1{font-size:1.7rem;margin:28px 0 4px}
h2{font-size:1.3rem;margin:40px 0 8px;border-bottom:1px solid var(--rule);padding-bottom:4px}
h3{font-size:1.05rem;margin:22px 0 6px}
p,li{max-width:76ch}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}
.skip:focus{left:12px;top:12px;background:var(--page);padding:6px 10px;z-index:1}
nav ul,.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 20px;margin:8px 0}
.legend li{display:flex;align-items:center;gap:8px;overflow-wrap:anywhere}
.swatch{width:36px;height:14px;flex:none}
.quiet,caption{color:var(--quiet)}
caption{text-align:left;padding:2px 0 6px;font-size:.9rem}
.scroll{overflow-x:auto;margin:8px 0 14px}
table{border-collapse:collapse;font-size:.9rem}
th,td{border:1px solid var(--rule);padding:4px 9px;text-align:left;vertical-align:top;overflow-wrap:anywhere;
min-width:5rem;max-width:26rem}
thead th{background:var(--panel);overflow-wrap:break-word}
tbody th{font-weight:600;overflow-wrap:break-word;min-width:9rem}
td ul,td ol{margin:0;padding-left:1.1rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:18px}
figure{margin:0;min-width:0;max-width:560px;padding:12px;break-inside:avoid;
border:1px solid var(--rule);border-radius:8px}
figcaption{font-weight:600;margin-bottom:4px}
figure svg:not(.swatch){width:100%;height:auto;display:block;font:12px system-ui,sans-serif}
details{margin:8px 0}
summary{cursor:pointer;color:var(--link)}
.path{border:1px solid var(--rule);border-radius:8px;padding:8px 14px;margin:12px 0;break-inside:avoid}
.path ol{padding-left:1.4rem}
.path li{margin:5px 0}
.yes{color:var(--good)}
.no{color:var(--bad)}
code{background:var(--panel);border-radius:4px;padding:1px 5px;overflow-wrap:anywhere}
svg text{fill:var(--text)}
.middle{text-anchor:middle}
.end{text-anchor:end}
.grid{stroke:var(--rule);fill:none}
.axis{stroke:var(--quiet);fill:none}
.guide{stroke:var(--quiet);stroke-dasharray:5 4;fill:none}
.line{fill:none;stroke-width:2}
.mark{stroke:none}
.ring{fill:none;stroke-width:2}
footer{margin-top:48px;padding-bottom:32px;color:var(--quiet);font-size:.9rem}
@media print{:root{--page:#fff;--text:#000;--quiet:#444;--rule:#bbb;--panel:#eee;--link:#000;--good:#000;--bad:#000;
--c0:#0057b7;--c1:#b34700;--c2:#00734f;--c3:#8e2f86;--c4:#7a5c00;--c5:#a3123f;--c6:#00707f;--c7:#4b4f57}
nav,.skip{display:none}
body{font-size:11px;print-color-adjust:exact}
.scroll{overflow:visible}
tr{break-inside:avoid}
details::details-content{content-visibility:visible;block-size:auto}}
""" + "".join(
    f".c{number},.s{number}{{stroke:var(--c{number})}}.f{number}{{fill:var(--c{number})}}\n" for number in range(8)
)
