"""Which standard operators a model may hold: those whose shapes can be worked out beforehand, each with its rule.

An operator without a rule is refused. What depends on values (`NonZero`, `Loop`, `NonMaxSuppression`) can have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edgeguard.admission.graph import elementwise, layers, layout, making
from edgeguard.admission.graph.call import Call, Value

Rule = Callable[[Call], tuple[Value, ...]]

_BY_RULE: tuple[tuple[Rule, str], ...] = (
    (
        elementwise.same,
        """
        Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Celu Clip Cos Cosh CumSum Elu Erf Exp Gelu GroupNormalization
        HardSigmoid HardSwish Hardmax InstanceNormalization LRN LeakyRelu Log LogSoftmax LpNormalization
        MeanVarianceNormalization Mish Not RMSNormalization Reciprocal Relu ReverseSequence Round
        ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh
        ThresholdedRelu Trilu
        """,
    ),
    (elementwise.unchanged, "Identity"),
    (elementwise.sloped, "PRelu"),
    (elementwise.truth, "IsInf IsNaN"),
    (elementwise.negated, "Neg"),
    (elementwise.rounded, "Ceil Floor"),
    (elementwise.cast, "Cast CastLike"),
    (
        elementwise.together,
        "Add BitShift BitwiseAnd BitwiseOr BitwiseXor Div Max Mean Min Mod Mul Pow Sub Sum",
    ),
    (elementwise.compared, "And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor"),
    (elementwise.chosen, "Where"),
    (
        elementwise.reduced,
        """
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare
        """,
    ),
    (elementwise.found_at, "ArgMax ArgMin"),
    (elementwise.dropped, "Dropout"),
    (elementwise.batch_normalised, "BatchNormalization"),
    (elementwise.layer_normalised, "LayerNormalization"),
    (elementwise.quantised, "QuantizeLinear"),
    (elementwise.dequantised, "DequantizeLinear"),
    (elementwise.dynamically_quantised, "DynamicQuantizeLinear"),
    (layers.convolved, "Conv"),
    (layers.convolved_whole, "ConvInteger"),
    (layers.convolved_quantised, "QLinearConv"),
    (layers.convolved_back, "ConvTranspose"),
    (layers.pooled, "AveragePool LpPool MaxPool"),
    (layers.pooled_whole, "GlobalAveragePool GlobalLpPool GlobalMaxPool"),
    (layers.multiplied, "MatMul"),
    (layers.multiplied_whole, "MatMulInteger"),
    (layers.multiplied_quantised, "QLinearMatMul"),
    (layers.gemm, "Gemm"),
    (layers.einsum, "Einsum"),
    (layers.sampled, "GridSample"),
    (layers.roi_aligned, "RoiAlign"),
    (layout.reshaped, "Reshape"),
    (layout.flattened, "Flatten"),
    (layout.transposed, "Transpose"),
    (layout.squeezed, "Squeeze"),
    (layout.unsqueezed, "Unsqueeze"),
    (layout.joined, "Concat"),
    (layout.split, "Split"),
    (layout.sliced, "Slice"),
    (layout.gathered, "Gather"),
    (layout.gathered_elements, "GatherElements"),
    (layout.gathered_nd, "GatherND"),
    (layout.padded, "Pad"),
    (layout.expanded, "Expand"),
    (layout.tiled, "Tile"),
    (layout.to_blocks, "SpaceToDepth"),
    (layout.from_blocks, "DepthToSpace"),
    (layout.shape_of, "Shape"),
    (layout.count_of, "Size"),
    (making.constant, "Constant"),
    (making.filled, "ConstantOfShape"),
    (making.counted, "Range"),
    (making.one_hot, "OneHot"),
    (making.top, "TopK"),
    (making.upsampled, "Upsample"),
    (making.resized, "Resize"),
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {name: rule for rule, names in _BY_RULE for name in names.split()}
)
CHOICE = "If"
"""Known besides: both branches are worked out."""
OPERATORS = tuple(sorted((*RULES, CHOICE)))
"""All that are allowed without being named in a policy."""
