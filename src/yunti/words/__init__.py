"""Every sentence that a person reads on the screen or in a report, in one place per language.

A sentence has a key. `say` writes it in English, and so it stands in records and files, the same for every reader.
`told` turns what `say` wrote into the reader's language when it is shown: it finds the English template that the text
was made from, takes the values out and puts them into the other language's template. `spoken` writes at once in the
reader's language what no record holds, such as labels.
"""

from yunti.words.language import LANGUAGES, Language, choose_language, language, speaking
from yunti.words.sentences import say, spoken, told

__all__ = ["LANGUAGES", "Language", "choose_language", "language", "say", "speaking", "spoken", "told"]
