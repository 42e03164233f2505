"""攀登过程中的句子：结论、预测、下一步。"""

CLIMBING: dict[str, str] = {}
