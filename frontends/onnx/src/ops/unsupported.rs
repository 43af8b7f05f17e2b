//! Operators of ONNX that mlcc does not import yet, with the reason.

use crate::registry::{
    Import::{Branch, Unsupported},
    Operator,
};

const CONTROL_FLOW: &str = "control flow is not implemented yet";
const RANDOM: &str = "its result is random";
const RECURRENT: &str = "recurrent layers are not implemented yet";
const SEQUENCES: &str = "sequences and optionals are not implemented yet";
const SIZES: &str = "the size of its result depends on data, which is not implemented yet";
const TEXT: &str = "it computes with text";
const YET: &str = "it is not implemented yet";

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Bernoulli", 15, Unsupported(RANDOM)),
    Operator::new("ConcatFromSequence", 11, Unsupported(SEQUENCES)),
    Operator::new("DeformConv", 19, Unsupported(YET)),
    Operator::new("Det", 11, Unsupported(YET)),
    Operator::new("GRU", 1, Unsupported(RECURRENT)),
    Operator::new("If", 1, Branch),
    Operator::new("ImageDecoder", 20, Unsupported("it reads files of images")),
    Operator::new("LSTM", 1, Unsupported(RECURRENT)),
    Operator::new("LinearAttention", 27, Unsupported(YET)),
    Operator::new("Loop", 1, Unsupported(CONTROL_FLOW)),
    Operator::new("MaxRoiPool", 1, Unsupported(YET)),
    Operator::new("MelWeightMatrix", 17, Unsupported(YET)),
    Operator::new("Multinomial", 7, Unsupported(RANDOM)),
    Operator::new("NonMaxSuppression", 10, Unsupported(SIZES)),
    Operator::new("Optional", 15, Unsupported(SEQUENCES)),
    Operator::new("OptionalGetElement", 15, Unsupported(SEQUENCES)),
    Operator::new("OptionalHasElement", 15, Unsupported(SEQUENCES)),
    Operator::new("RNN", 1, Unsupported(RECURRENT)),
    Operator::new("RandomNormal", 1, Unsupported(RANDOM)),
    Operator::new("RandomNormalLike", 1, Unsupported(RANDOM)),
    Operator::new("RandomUniform", 1, Unsupported(RANDOM)),
    Operator::new("RandomUniformLike", 1, Unsupported(RANDOM)),
    Operator::new("RegexFullMatch", 20, Unsupported(TEXT)),
    Operator::new("RoiAlign", 10, Unsupported(YET)),
    Operator::new("Scan", 8, Unsupported(CONTROL_FLOW)),
    Operator::new("SequenceAt", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceConstruct", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceEmpty", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceErase", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceInsert", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceLength", 11, Unsupported(SEQUENCES)),
    Operator::new("SequenceMap", 17, Unsupported(SEQUENCES)),
    Operator::new("SplitToSequence", 11, Unsupported(SEQUENCES)),
    Operator::new("StringConcat", 20, Unsupported(TEXT)),
    Operator::new("StringNormalizer", 10, Unsupported(TEXT)),
    Operator::new("StringSplit", 20, Unsupported(TEXT)),
    Operator::new("TfIdfVectorizer", 9, Unsupported(YET)),
    Operator::new("Unique", 11, Unsupported(SIZES)),
];
