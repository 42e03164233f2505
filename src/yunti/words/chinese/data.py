"""关于数据的句子：怎样读入、理解、划分，以及数据有什么问题。"""

DATA = {
    "split.by column": "按列 {column} 划分",
}
