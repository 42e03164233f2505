"""What is wrong with data, or good to know of them."""

DOCTOR = {
    # rows that cannot be read
    "doctor.broken": "{count:,} {count:row|rows} could not be read and {count:was|were} set aside (quarantine.jsonl "
    "tells all): {file}, row {row:d}: {reason:said}",
    "broken.target": "the target {target} must be a number, but {reason:said}",
    "broken.is": "it is {value!r}",
    "broken.bytes": "the bytes cannot be read ({error})",
    "broken.no file": "there is no file {file}",
    "broken.file": "{file} cannot be read ({error})",
    "broken.silent file": "{file} holds no samples",
    "broken.silent": "the sound holds no samples",
    "broken.not a list": "{value!r} is not a list of numbers",
    "broken.steps": "its steps do not all have {channels:d} values",
    "broken.fields": "{fields:d} {fields:field|fields} instead of {wanted:d}",
    "broken.lines": "{reason:said}, over {lines:d} lines: a quote may have been left open",
    "broken.quote": "its quote is not closed before the file ends",
    "broken.byte of column": "column {column!r} holds the byte 0x{byte}, which could not be decoded",
    "broken.byte": "it holds the byte 0x{byte}, which could not be decoded",
    "broken.JSON": "it is not JSON ({message} at character {character:d})",
    "broken.JSON line": "it is not JSON ({message} at line {line:d}, character {character:d})",
    "broken.JSON depth": "it is not JSON (its lists or objects lie too deep in each other)",
    "broken.no keys": "it is an object without keys",
    "broken.no object": "it is not an object but {text}",
    # columns
    "doctor.nested": "{column!r} holds nested values ({nested}), which cannot be read",
    "doctor.empty": "{column!r} has no values",
    "doctor.id": "{column!r} names rows rather than describing them ({evidence:said})",
    "doctor.constant": "{column!r} holds {value!r} in every row",
    "doctor.same picture": "{column!r} holds the same picture",
    "doctor.index": "{column!r} numbers the rows, {low:,.0f} to {high:,.0f}",
    "doctor.key": "{column!r} is a key: every row has another whole number",
    "doctor.split column": "{column!r} holds a ready split ({parts}): use it with --split {column}",
    "doctor.missing": "{column!r} is missing in {count:,} of {rows:,} rows ({share:.0%})",
    "doctor.missing in few": "values are missing: {columns:each} of {rows:,} rows",
    "doctor.missing in many": "values are missing: {columns:each} and {more:,} more {more:column|columns} in fewer of "
    "{rows:,} rows",
    "doctor.missing column": "{column!r} in {count:,}",
    "doctor.mixed": "{column!r} has {count:,} {count:value that is|values that are} not {kind:said} and count as "
    "missing: {file}, row {row:d}: {reason:said}",
    "mixed.flag": "one of its two values",
    "mixed.other": "readable",
    "doctor.paths": "{column!r} looks like paths of {kind:said}, but the files are not in {folder}, for example "
    "{example!r}; paths are relative to the folder of the table",
    "doctor.many levels": "{column!r} has {levels:,} distinct values among {rows:,} rows; rare ones tell little",
    "doctor.time": "{column!r} dates the rows; if new rows come later than these, test honestly with --time {column}",
    "doctor.group": "rows with the same {column!r} may belong together ({count:,} {count:value|values}, up to "
    "{most:,} rows each); --group {column} keeps them on one side of the split",
    "doctor.copy": "{column!r} says the same as {original!r}, value for value",
    "doctor.kept": "{finding:said}; used because you keep it",
    "doctor.rescued": "{finding:said}; used, for no other column is left",
    # leaks
    "doctor.leak": "{column!r} gives the target {target!r} away: {how:said}",
    "doctor.suspect": "{column!r} alone all but tells the target: {how:said}; was it known beforehand?",
    "leak.class": "each of its values goes with one class",
    "leak.auc": "alone it reaches an AUC of {auc:.3f} on held-out rows",
    "leak.r2": "alone it explains R² = {r2:.4f} of held-out rows",
    "leak.sum": "{target} = {formula}",
    "doctor.account": "{column!r} seems to be known only afterwards: it is part of the account {total} = {formula}",
    # the target
    "doctor.target missing": "{count:,} {count:row|rows} without a value of the target {target!r} set aside: first "
    "{file}, row {row:d}",
    "doctor.rare classes": "{count:,} {count:class is|classes are} too rare to be split and kept in the training rows "
    "only: {classes}",
    "doctor.many rare classes": "{count:,} {count:class is|classes are} too rare to be split and kept in the training "
    "rows only: {classes} and {more:,} more",
    "doctor.imbalance": "{share:.1%} of the rows are of class {name!r}: accuracy says little; judge by --metric "
    "balanced_accuracy or macro_f1",
    # copies of rows
    "doctor.chance copies": "{count:,} rows have the same inputs as an earlier row; the inputs have so few different "
    "values that this is chance, so the split may part them",
    "doctor.duplicates": "{count:,} {count:row|rows} {count:repeats|repeat} the inputs of an earlier row: first "
    "{file}, row {row:d}, as row {earlier:d}",
    "doctor.duplicates across": "{count:,} {count:row|rows} {count:repeats|repeat} the inputs of an earlier row: "
    "first {file}, row {row:d}, as {other}, row {earlier:d}",
    "doctor.near duplicates": "{count:,} {count:row|rows} {count:is|are} nearly the same as an earlier row: first "
    "{file}, row {row:d}, like row {earlier:d}",
    "doctor.near duplicates across": "{count:,} {count:row|rows} {count:is|are} nearly the same as an earlier row: first "
    "{file}, row {row:d}, like {other}, row {earlier:d}",
    "doctor.together": "{finding:said}; kept on one side of the split",
    "doctor.repeated documents": "{count:,} {count:document repeats|documents repeat} another one but for case and blanks "
    "and {count:was|were} left out: {examples:each}",
    "doctor.copied file": "{file!r} repeats {other!r}",
    "doctor.copied row": "row {row:d} repeats row {earlier:d}",
    "doctor.copied row of": "row {row:d} of {file!r} repeats row {earlier:d} of {other!r}",
    "doctor.no near duplicates": "passages that are nearly the same were not looked for: the text has more than {most:,} MB",
    "doctor.longest text": "{column!r} has the longest texts of {count:,} columns of text and is learned; --target names "
    "another one",
    "doctor.unused": "a text goes on from itself alone; not used: {columns}",
    "doctor.many unused": "a text goes on from itself alone; not used: {columns} and {more:,} more",
    "doctor.conflicts": "{count:,} {count:group|groups} of rows with equal inputs {count:has|have} different targets: "
    "{file}, row {row:d} is {name!r}, row {earlier:d} is {other!r}",
    "doctor.crossing": "{count:,} {count:row|rows} for validation or test {count:repeats|repeat} training rows, "
    "exactly or nearly: scores will look too good",
    # the split
    "doctor.unseen class": "{count:,} {count:row|rows} outside the training rows set aside: their class ({classes}) "
    "has no training row",
    "doctor.few groups": "the split by {column} leaves {valid:,} {valid:group|groups} to choose by and {test:,} "
    "{test:group|groups} to test: on others the scores may differ by more than their intervals tell",
    "doctor.no validation": "no validation rows are left",
    "doctor.no test": "no test rows are left",
}
