"""Which of torch's operators have no multiply-adds to count.

Elementwise ones, reductions and views are known by torch's own tags; the others are named here:
copies, indexing, sorting, random numbers, activations, softmax, losses and pooling. What is not
known to be harmless is not: an operator of anybody else's, or of a later torch, has to be priced.
"""

from functools import cache

import torch

_NAMES = frozenset(
    """
    Bool Complex Float Int IntImplicit FloatImplicit ScalarImplicit Size and or xor not iand ior
    contains is isnot getitem len dim numel size stride storage_offset item local_scalar_dense
    device get_device is_complex is_floating_point is_nonzero is_same_size equal allclose isclose
    list tensor append sym_size sym_numel sym_stride sym_storage_offset has_compatible_shallow
    is_all_true is_any_true assert_async assert_scalar assert_tensor_metadata result_type

    arange empty empty_like empty_strided empty_permuted eye full full_like linspace logspace ones
    ones_like zeros zeros_like new_empty new_empty_strided new_full new_ones new_zeros
    efficientzerotensor scalar_tensor tril_indices triu_indices rand rand_like randint
    randint_like randn randn_like
    randperm bernoulli multinomial normal normal_functional uniform exponential poisson random
    cauchy log_normal geometric binomial standard_gamma zero fill lift lift_fresh

    alias alias_copy as_strided as_strided_copy as_strided_scatter atleast_1d atleast_2d atleast_3d
    block_diag broadcast_tensors cat chunk_cat column_stack concat concatenate constant_pad_nd copy
    copy_from data detach detach_copy diag diag_embed diagflat diagonal_copy diagonal_scatter
    dstack expand_copy fill_diagonal flip fliplr flipud hstack meshgrid narrow_copy pad
    pad_sequence pad_circular pad_enum permute_copy pin_memory pixel_shuffle pixel_unshuffle
    channel_shuffle
    native_channel_shuffle reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
    replication_pad2d replication_pad3d repeat repeat_interleave reshape reshape_copy
    unsafe_view resize resize_as resize_output roll rot90 row_stack select_copy select_scatter set
    slice_copy slice_scatter split_copy split_with_sizes_copy squeeze_copy stack t_copy tile
    to to_copy to_dense to_sparse to_sparse_csr transpose_copy tril triu type_as unbind_copy
    unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze_copy unfold_copy view_copy vstack
    im2col col2im sum_to_size chalf cast_Float cast_Double cast_Half cast_Long cast_Int cast_Byte
    select slice diagonal unfold index_select_backward value_selecting_reduction_backward

    bucketize searchsorted embedding embedding_dense embedding_renorm gather index index_add
    index_copy index_fill index_put index_put_impl index_reduce index_select isin unsafe_index
    unsafe_index_put masked_fill masked_scatter masked_select nonzero nonzero_static
    nonzero_numpy one_hot put scatter scatter_add scatter_reduce take take_along_dim unique
    unique2 unique_consecutive unique_dim argsort argwhere sort msort topk kthvalue median
    nanmedian mode quantile nanquantile histc histogram bincount cummax cummin cummax_helper
    cummin_helper cumsum cumprod logcumsumexp diff trace renorm count_nonzero aminmax dist
    coalesce sparse_coo_tensor_unsafe sparse_coo_tensor_with_dims_and_tensors sparse_sum
    linalg_cross linalg_check_errors linalg_vander lu_unpack segment_reduce

    absolute alpha_dropout arccos arccosh arcsin arcsinh arctan arctan2 arctanh complex polar cross
    divide dropout eq exp2 fabs feature_alpha_dropout feature_dropout fix floor_divide frac
    fused_dropout masked_scale native_dropout gelu glu greater greater_equal hardshrink
    hardsigmoid hardswish hardtanh heaviside elu celu selu leaky_relu less less_equal log_sigmoid
    log_sigmoid_forward log_softmax log_softmax_backward_data logsumexp masked_softmax mish
    multiply negative nanmean not_equal prelu prelu_kernel rrelu rrelu_with_noise safe_softmax
    softmax softmax_backward_data softplus softshrink special_digamma special_erf special_erfc
    special_erfinv special_exp2 special_expit special_expm1 special_gammaln special_log1p
    special_log_softmax special_logit special_logsumexp special_ndtr special_sinc special_softmax
    special_xlogy square subtract threshold true_divide fake_quantize_per_tensor_affine
    fake_quantize_per_tensor_affine_cachemask weight_norm weight_norm_interface norm_except_dim
    rms_norm fused_rms_norm
    local_response_norm linalg_vector_norm frobenius_norm cosine_similarity pairwise_distance

    adaptive_avg_pool1d adaptive_avg_pool3d adaptive_avg_pool2d_backward adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d
    fractional_max_pool2d fractional_max_pool3d max_pool1d max_pool1d_with_indices max_pool2d
    max_pool2d_with_indices max_pool2d_with_indices_backward max_pool3d max_pool3d_with_indices
    max_unpool2d max_unpool3d

    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy_loss
    ctc_loss huber_loss hinge_embedding_loss kl_div l1_loss margin_ranking_loss mse_loss
    multi_margin_loss multilabel_margin_loss multilabel_margin_loss_forward nll_loss nll_loss2d
    nll_loss2d_forward nll_loss_forward nll_loss_nd poisson_nll_loss smooth_l1_loss
    soft_margin_loss triplet_margin_loss

    fused_adam fused_adamw fused_sgd fused_adagrad amp_foreach_non_finite_check_and_unscale
    amp_update_scale
    """.split()  # noqa: SIM905
)
"""Without leading and trailing underscores, `foreach_` and `_backward`."""


@cache
def harmless(operator: str) -> bool:
    """Whether an operator, such as aten::relu, has no multiply-adds to count."""
    space, _, name = operator.rpartition("::")
    if space == "profiler":
        return True
    plain = name.strip("_").removeprefix("foreach_")
    known = {plain, plain.removesuffix("_backward")} & _NAMES
    return space == "aten" and bool(known or _tagged(name) or _tagged(plain))


def _tagged(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return False
    operators = [getattr(packet, overload) for overload in packet.overloads()]
    return any(_elementwise(operator) for operator in operators)


def _elementwise(operator: torch._ops.OpOverload) -> bool:
    tags = {torch.Tag.pointwise, torch.Tag.reduction}
    return operator.is_view or not tags.isdisjoint(operator.tags)
