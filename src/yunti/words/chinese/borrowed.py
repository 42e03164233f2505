"""建立在预训练语言模型之上的梯级所说的话，以及模型导出时所说的话。"""

BORROWED = {
    "rung.pretrained writer": "原样使用预训练语言模型：不学习，只阅读并计分。",
    "rung.adapted writer": "预训练语言模型保持不变，只学习各层旁边的小矩阵乘积。",
    "rung.tuned writer": "预训练语言模型的全部权重以较小的学习率继续学习。",
    "unfit.no causal": "该预训练模型不能写作：{name} 不是因果语言模型",
    "unfit.no tokeniser": "{folder} 中没有 tokenizer.json，预训练模型要靠它读取文本",
    "unfit.tokeniser": "{folder} 中的分词器会丢失部分文本，或无法读取：{got}",
    "unfit.template": "{folder} 中的对话模板无法用于对话：{got}",
    "writer.rank": "文本少则所需参数少；约 {many} 个词元起取四倍",
    "writer.adapters rate": "全部权重学习时所用学习率的 {times} 倍（Schulman 等，2025）",
    "writer.whole rate": "状态宽度 768 时为 4e-5，其他宽度按宽度的倒数",
    "writer.epochs": "文本多时一遍，少时三遍：再多就是死记",
    "writer.context": "预训练模型一次能读的词元数，最多 {most}",
}
