"""模型包给数据打分时的句子。"""

BUNDLE = {
    "evaluate.broken": "{count} 行无法读入，例如 {file} 第 {row} 行：{reason}。",
    "evaluate.no answer": "{count} 行缺少 {target!r}，不计分。",
    "evaluate.strange label": "{count} 行在 {target!r} 中的标签模型没有学过，例如 {labels}（第 {row} 行），不计分。",
}
