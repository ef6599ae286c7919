"""The style sheet of all reports, for light and dark mode and for any screen width."""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1d1f23;--soft:#5f6570;--rule:#e2e0db;--bar:#dfe6f1;
--c1:#1e41a8;--c2:#f3680f;--c3:#65a08c;--c4:#ba73ea;--c5:#61481b;--c6:#2d76a3;--c7:#9c5859;--c8:#292929;--stamp:#a8200d}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14161a;--card:#1c1f25;--ink:#e8e8e6;--soft:#9aa1ad;--rule:#30343c;
--bar:#2b3a52;--c1:#4f80fa;--c2:#f59145;--c3:#9defd2;--c4:#9575a4;--c5:#fed835;--c6:#4ab8fd;--c7:#e54c4a;--c8:#a8a8a8;
--stamp:#ff8573}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1.25rem 1rem 4rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:.4rem 0}
h2{font-size:1.15rem;margin:2.4rem 0 .7rem;padding-top:.9rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.4rem 0 .5rem}
p{margin:.5rem 0;max-width:46rem}
.soft,figcaption,th,.note{color:var(--soft)}
.note{font-size:.9rem}
.stamp{border:2px solid var(--stamp);color:var(--stamp);padding:.5rem .8rem;font-weight:700;border-radius:.3rem;
display:inline-block;max-width:none}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.7rem;margin:1rem 0}
.tile,.chart,.sample{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.7rem .85rem}
.tile b{display:block;font-size:1.4rem;line-height:1.25;font-variant-numeric:tabular-nums}
.tile span{display:block;color:var(--soft);font-size:.85rem;line-height:1.35}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:.8rem}
figure{margin:0}
.chart svg{width:100%;height:auto;display:block}
.chart text{font-size:11px;fill:var(--soft)}
.chart .grid{stroke:var(--rule);stroke-width:1}
figcaption{display:flex;flex-wrap:wrap;gap:.2rem 1rem;justify-content:space-between;font-size:.9rem;margin-bottom:.3rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem .9rem}
.chart .key svg{display:inline-block;width:1.9em;height:.6em;margin-right:.35em}
.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}
.c5{color:var(--c5)}.c6{color:var(--c6)}.c7{color:var(--c7)}.c8{color:var(--c8)}
.line polyline{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}
.d2{stroke-dasharray:7 3}.d3{stroke-dasharray:2.5 2.5}.d4{stroke-dasharray:9 3 2.5 3}.d5{stroke-dasharray:4.5 2}
.d6{stroke-dasharray:12 4}.d7{stroke-dasharray:1.5 4}.d8{stroke-dasharray:8 2.5 2 2.5 2 2.5}
.line circle{fill:currentColor}
.band{fill:currentColor;opacity:.12}
.mark circle{fill:var(--card);stroke:currentColor;stroke-width:2}
.mark .foot{stroke:currentColor;stroke-dasharray:2 2.5}
.chart .name{fill:var(--ink);font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.bars rect{fill:currentColor}
.bars .dot{fill:var(--card);stroke:var(--ink);stroke-width:1.2}
.chart .who{fill:var(--ink)}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,30rem),1fr));gap:.8rem}
.sample{display:grid;grid-template-columns:6.5rem minmax(0,1fr);gap:.3rem .9rem;align-items:start}
.sample img{width:100%;height:auto;border-radius:.3rem;image-rendering:auto}
.sample img.small{image-rendering:pixelated}
.sample h4{margin:0 0 .4rem;font-size:.95rem}
.sample h4 span{font-weight:400;color:var(--soft);font-size:.8rem;display:block}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.5rem 1rem}
.sides h5{margin:0 0 .2rem;font-size:.8rem;font-weight:600;color:var(--soft)}
ol.guesses{list-style:none;margin:0;padding:0;font-size:.85rem;line-height:1.35}
.guesses li{display:flex;justify-content:space-between;gap:.5rem;padding:.08rem .3rem;margin:.1rem 0;border-radius:.2rem;
background:linear-gradient(var(--bar),var(--bar)) no-repeat left/var(--share) 100%}
.guesses span:first-child{min-width:0}
.guesses .true{font-weight:700}
.guesses em{font-weight:400;color:var(--soft)}
.sides .right{color:var(--c3)}
.sides .wrong{color:var(--stamp)}
.guesses span:last-child,td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.28rem .9rem .28rem 0;border-bottom:1px solid var(--rule)}
th{font-weight:500}
td.t{min-width:7rem;max-width:24rem}
td.n,th.n{text-align:right}
.facts{width:100%}
.facts th{width:11rem;min-width:7rem}
code,pre{font:.85rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--card);border:1px solid var(--rule);border-radius:.4rem;padding:.7rem;overflow-x:auto}
summary{cursor:pointer;color:var(--soft)}
.pair .chart{margin-top:1.2rem}
details{margin:.5rem 0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:.8rem 2rem;align-items:start}
@media(max-width:34rem){.chart text{font-size:13px}
.sample{grid-template-columns:4.5rem minmax(0,1fr)}.facts th,.facts td{display:block;width:auto;
border:0;padding:0}.facts td{padding-bottom:.5rem;border-bottom:1px solid var(--rule)}}
@media print{body{background:#fff;font-size:.8rem}.charts{grid-template-columns:1fr 1fr}.tile,.chart,.sample{break-inside:avoid}}
""".strip()
