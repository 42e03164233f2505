"""What is said about a climb: what is expected, what was chosen and why, what could be done next."""

CLIMBING = {
    "climb.interrupted": "interrupted before it was trained; --resume trains it",
    "climb.too few to combine": "it needs at least two trained rungs",
    "climb.no time": "its share of the budget, {share:.1f} s, is under the {needed:.0f} s with which it can learn "
    "something",
    "climb.no pilot": "no pilot on {rows:,} rows: {error}",
    "climb.no better": "no average does better than {rung} alone",
    "climb.test failed": "{reason:said} The test rows could not be scored: {trouble}.",
    "budget.derived from table": "derived from {rows:,} rows of table; set --budget to change it",
    "budget.derived from kinds": "derived from {rows:,} rows with {kinds}; set --budget to change it",
    "budget.asked": "asked for",
    "budget.full": "one rung at full strength, as long as its recipe takes",
    "refit.idea": "Trained anew on training and validation rows together, with all that was chosen kept.",
    "refit.few": "the validation rows would add only {more:.1%} to the training rows",
    "refit.part": "{rung} could learn from a part of the training rows only",
    "refit.no time": "{rung} had too little time for the training rows already",
    "refit.too dear": "it would take about {needed:.0f} s, and {left:.0f} s were left",
    "ended.late": "it outran its share of the budget and was stopped",
    "ended.memory": "it needed over {held:.1f} GiB of memory, and {limit:.1f} were free",
    "ended.killed": "its process was killed, most likely by the system for want of memory",
    "ended.signal": "its process died of signal {signal}",
    "ended.code": "its process ended with code {code}: {line}",
    "ended.silent": "it printed nothing",
    "points": "{points} points",
    "forecast.none": "no forecast: {reason:said}",
    "forecast.no pilots": "no pilot came to an end",
    "forecast.one size": "one size is too few: three are needed",
    "forecast.two sizes": "two sizes are too few: three are needed",
    "forecast.short range": "the sizes span a factor of {span:.2g}: {needed:g} is needed",
    "forecast.far": "it is {factor:.3g} times the last size: beyond {most:g} nobody knows",
    "forecast.worsens": "the score gets worse with more",
    "forecast.expected": "expected {metric:said} {score}",
    "forecast.expected for": "expected {metric:said} {score} for {time}",
    "forecast.expected for money": "expected {metric:said} {score} for {time} ({money})",
    "forecast.prior": "expected {metric:said} {score} by what it did on other data (prior)",
    "forecast.told": "{expected:said}; chance that it beats {against} by more than {least:said}: {chance:.0f} % → "
    "{worth:said}",
    "forecast.worth it": "worth it",
    "forecast.not worth it": "not worth it",
    "forecast.pays": "worth it: {gain:said} are to be expected, and its time costs as much as {price:said}",
    "forecast.does not pay": "not worth it: {gain:said} are to be expected, and its time costs as much as {price:said}",
    "verdict.tie faster": "{chosen} is chosen with {metric:said} {value}: {best} reached {metric:said} {reached}, but on "
    "the same rows its lead of {gap:said} lies within one standard error ({low:said} to {high:said}), and it trains "
    "{times:,.0f} times faster.",
    "verdict.tie lower": "{chosen} is chosen with {metric:said} {value}: {best} reached {metric:said} {reached}, but on "
    "the same rows its lead of {gap:said} lies within one standard error ({low:said} to {high:said}), and it stands "
    "lower on the ladder.",
    "verdict.only": "{chosen} is the only rung that was trained: {metric:said} {value}.",
    "verdict.win": "{chosen} is chosen: {metric:said} {value}, {gap:said} better than {second} on the same rows.",
    "verdict.even": "{chosen} is chosen: {metric:said} {value}; {second} cannot be told from it on these rows, and costs "
    "as much or more.",
    "next.rung": "train {rung}",
    "next.twice": "twice the training rows, {rows:,}",
    "next.four times": "four times the training rows, {rows:,}",
    "next.longer": "train {rung} twice as long",
    "next.pretrained": "give a pretrained model (--pretrained)",
    "next.stop": "stop here",
    "limit.labels agree": "{count:,} of the {wrong:,} validation rows that {rung} gets wrong are answered alike by {strong} "
    "strong rungs, against the label: look at these labels; no model will get such rows right.",
    "limit.labels repeat": "rows with the same inputs carry other labels so often that no model can be right on more than "
    "about {most:.1%} of the rows; {rung} is right on {right:.1%}.",
    "limit.labels scatter": "rows with the same inputs have targets that differ so much that no model can explain more than "
    "about {most:.1%} of their variance; {rung} explains {right:.1%}.",
    "limit.data": "the data are the limit: the learning curve of {rung} still falls, and twice the rows would bring "
    "{gain:said} ({low:said} to {high:said}).",
    "limit.time": "time is the limit: {rungs} had too little of it; a larger --budget may bring more.",
    "limit.model": "the model may be the limit: {rung}, which was not trained in full, is expected to be better.",
    "limit.flat": "neither more rows nor the rungs that were left out promise more: the learning curve of {rung} is flat.",
    "limit.unclear": "what holds the score back cannot be told: no learning curve of {rung} was measured.",
}
