"""关于词元的句子：文本转成哪一种词元，以及为什么。"""

TOKENS = {
    "coder.bytes": "字节：{size} 个词元",
    "coder.characters": "字符：{size} 个词元，其中 {known} 个在 ASCII 之外；未收录的字符按字节书写",
    "coder.pairs": "字节级 BPE：{size} 个词元，学自训练文本",
    "coder.folder": "预训练模型 {name} 的字节级 BPE：{size} 个词元",
    "coder.chat": "{coder}；对话以标记 {marks} 分隔",
    "choice.characters": "以字符为词元：{size} 文本只有 {distinct} 个不同字符，不足以学习更多词元",
    "choice.script": "{tokens} 个词元的字节级 BPE：{size} 文本中，ASCII 之外有 {common} 个字符出现了 {times} 次，每个都应自成词元",
    "choice.pairs": "{tokens} 个词元的字节级 BPE：{size} 文本中，约有这么多词元可望各出现 {times} 次",
}
