"""Language as token ids: a Hugging Face BERT turns MMSA's `text_bert` into language features.

    encoder = load_encoder("path/to/bert")              # a folder, or a name on the Hugging Face hub
    data = encode_language(read("mosi.pkl"), encoder)   # computed once, in eval mode: the encoder stays as it is
    fit(model, data, TrainConfig(), out="runs/a")
    fit(model, data, TrainConfig(bert_mode="fine-tune"), out="runs/b", encoder=encoder)   # tuned in stage one

Needs the extra `bert` (the package transformers); nothing else of the library does.
"""

from dicmor_lib.language.encode import encode_language
from dicmor_lib.language.encoder import LanguageEncoder
from dicmor_lib.language.load import load_encoder

__all__ = ["LanguageEncoder", "encode_language", "load_encoder"]
