/** Names of what Keras has, by kind: schemas/keras_names.json, written by tools/keras-names.js and not edited by hand. */
/** @param {string} text */
const words = (text) => text.split(' ');

/** @type {Record<string, string[]>} */
export const KINDS = {
  activation: words('celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid ' +
    'log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax ' +
    'squareplus swish tanh tanh_shrink threshold'),
  constraint: words('Constraint MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm constraint max_norm maxnorm min_max_norm non_neg nonneg ' +
    'radial_constraint unit_norm unitnorm'),
  initializer: words('Constant ConstantV2 GlorotNormal GlorotNormalV2 GlorotUniform GlorotUniformV2 HeNormal HeNormalV2 HeUniform HeUniformV2 ' +
    'Identity IdentityInitializer IdentityV2 Initializer LecunNormal LecunNormalV2 LecunUniform LecunUniformV2 Ones OnesV2 ' +
    'Orthogonal OrthogonalInitializer OrthogonalV2 RandomNormal RandomNormalV2 RandomUniform RandomUniformV2 STFT ' +
    'STFTInitializer TruncatedNormal TruncatedNormalV2 VarianceScaling VarianceScalingV2 Zeros ZerosV2 constant glorot_normal ' +
    'glorot_normalV2 glorot_uniform glorot_uniformV2 he_normal he_normalV2 he_uniform he_uniformV2 identity initializer ' +
    'lecun_normal lecun_normalV2 lecun_uniform lecun_uniformV2 normal one ones orthogonal random_normal random_uniform stft ' +
    'truncated_normal uniform variance_scaling zero zeros'),
  layer: words('AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D ' +
    'AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AddLoss AddMetric ' +
    'AdditiveAttention AlphaDropout AtrousConv1D AtrousConv2D AtrousConvolution1D AtrousConvolution2D Attention AugMix ' +
    'AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D ' +
    'BaseAdaptiveAveragePooling BaseAdaptiveMaxPooling BaseAdaptivePooling BaseConv BaseConvTranspose BaseDepthwiseConv ' +
    'BaseGlobalPooling BaseImagePreprocessingLayer BasePooling BaseRandomLayer BaseSeparableConv BaseSpatialDropout ' +
    'BatchNormalization BatchNormalizationBase BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding ' +
    'CenterCrop ClassMethod Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D ' +
    'Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM ConvLSTM1D ConvLSTM2D ConvLSTM3D ConvLSTMCell ConvRecurrent2D ' +
    'Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D ' +
    'Cropping2D Cropping3D CuDNNGRU CuDNNLSTM CutMix DataLayer Deconv2D Deconv3D Deconvolution2D Deconvolution3D Dense ' +
    'DenseFeatures DepthwiseConv1D DepthwiseConv2D DeviceWrapper Discretization Dot Dropout DropoutWrapper ELU EinsumDense ' +
    'Embedding Equalization FeatureSpace Flatten FlaxLayer GRU GRUCell GRUCellV1 GRUCellV2 GRUV1 GRUV2 GaussianDropout ' +
    'GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D ' +
    'GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D ' +
    'GroupNormalization GroupQueryAttention GroupedQueryAttention HashedCrossing Hashing Highway Identity IndexLookup ' +
    'InputLayer InstanceMethod InstanceProperty IntegerLookup JaxLayer LSTM LSTMCell LSTMCellV1 LSTMCellV2 LSTMV1 LSTMV2 ' +
    'Lambda Layer LayerNormalization LeakyReLU LinearModel LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes ' +
    'MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MaxoutDense MelSpectrogram Merge Minimum ' +
    'MixUp MultiHeadAttention Multiply Normalization PReLU ParametricSoftplus Permute Pipeline RMSNormalization RNN ' +
    'RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform ' +
    'RandomErasing RandomFlip RandomFourierFeatures RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert ' +
    'RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation ' +
    'RandomWidth RandomZoom ReLU Recurrent RepeatVector Rescaling Reshape ResidualWrapper Resizing ReversibleEmbedding SReLU ' +
    'STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SequenceFeatures SimpleRNN ' +
    'SimpleRNNCell SlicingOpLambda Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D ' +
    'SpectralNormalization StackedRNNCells StringLookup Subtract SyncBatchNormalization TFDConcat TFDIdentity TFOpLambda ' +
    'TFSMLayer TensorFlowOpLayer TextVectorization ThresholdedReLU TimeDistributed TimeDistributedDense TorchModuleWrapper ' +
    'UnitNormalization UpSampling1D UpSampling2D UpSampling3D WideDeepModel Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D ' +
    '_RNNCellWrapper'),
  loss: words('BCE BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy ' +
    'CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLD KLDivergence LogCosh ' +
    'Loss LossFunctionWrapper MAE MAPE MSE MSLE MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError ' +
    'MeanSquaredLogarithmicError Poisson Reduction SparseCategoricalCrossentropy SquaredHinge Tversky bce binary_crossentropy ' +
    'binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy ' +
    'categorical_hinge circle cosine_proximity cosine_similarity ctc dice hinge huber kl_divergence kld ' +
    'kullback_leibler_divergence log_cosh logcosh mae mape mean_absolute_error mean_absolute_percentage_error ' +
    'mean_squared_error mean_squared_logarithmic_error mse msle poisson sparse_categorical_crossentropy squared_hinge tversky'),
  metric: words('AUC Accuracy BCE BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy CategoricalHinge ' +
    'ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge IoU KLD KLDivergence ' +
    'LogCoshError MAE MAPE MSE MSLE Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper ' +
    'MeanRelativeError MeanSquaredError MeanSquaredLogarithmicError MeanTensor Metric OneHotIoU OneHotMeanIoU ' +
    'PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError ' +
    'SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy ' +
    'SpecificityAtSensitivity SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives acc accuracy auc bce ' +
    'binary_accuracy binary_crossentropy binary_focal_crossentropy binary_io_u categorical_accuracy categorical_crossentropy ' +
    'categorical_focal_crossentropy categorical_hinge ce concordance_correlation cosine cosine_proximity cosine_similarity ' +
    'crossentropy f1_score f_beta_score false_negatives false_positives fbeta_score fmeasure hinge huber io_u kl_divergence ' +
    'kld kullback_leibler_divergence log_cosh log_cosh_error logcosh mae mape matthews_correlation mean mean_absolute_error ' +
    'mean_absolute_percentage_error mean_io_u mean_metric_wrapper mean_squared_error mean_squared_logarithmic_error metric mse ' +
    'msle one_hot_io_u one_hot_mean_io_u pearson_correlation poisson precision precision_at_recall r2_score recall ' +
    'recall_at_precision root_mean_squared_error sensitivity_at_specificity sparse_categorical_accuracy ' +
    'sparse_categorical_crossentropy sparse_top_k_categorical_accuracy specificity_at_sensitivity squared_hinge sum ' +
    'top_k_categorical_accuracy true_negatives true_positives'),
  model: words('Container Functional Graph Model Network Sequential'),
  op_function: words('abs absolute adaptive_average_pool adaptive_max_pool add all allclose amax amin angle any append arange arccos arccosh ' +
    'arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort array array_split associative_scan average ' +
    'average_pool bartlett batch_normalization binary_crossentropy bincount bitwise_and bitwise_invert bitwise_left_shift ' +
    'bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman broadcast_to cast categorical_crossentropy cbrt cdist ' +
    'ceil celu cholesky cholesky_inverse clip concatenate cond conj conjugate conv conv_transpose convert_to_numpy ' +
    'convert_to_tensor copy corrcoef correlate cos cosh count_nonzero cross ctc_decode ctc_loss cumprod cumsum custom_gradient ' +
    'deg2rad depth_to_space depthwise_conv det diag diagflat diagonal diff digitize divide divide_no_nan dot ' +
    'dot_product_attention dsplit dstack dtype eig eigh einsum elu empty empty_like equal erf erfc erfinv exp exp2 expand_dims ' +
    'expm1 extract_sequences eye fabs fft fft2 flip fliplr flipud floor floor_divide fmax fmin fmod fold fori_loop full ' +
    'full_like gcd gelu geomspace get_item glu greater greater_equal hamming hanning hard_shrink hard_sigmoid hard_silu ' +
    'hard_swish hard_tanh heaviside histogram hsplit hstack hypot i0 identity ifft2 imag in_top_k inner inv irfft is_tensor ' +
    'isclose isfinite isin isinf isnan isneginf isposinf isreal istft jvp kaiser kron layer_normalization lcm ldexp leaky_relu ' +
    'left_shift less less_equal linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logaddexp2 logdet logical_and ' +
    'logical_not logical_or logical_xor logspace logsumexp lstsq lu_factor map matmul matrix_rank max max_pool maximum mean ' +
    'median meshgrid min minimum mod moments moveaxis multi_hot multiply nan_to_num nanargmax nanargmin nancumprod nancumsum ' +
    'nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative nextafter nonzero ' +
    'norm normalize not_equal one_hot ones ones_like outer pad percentile pinv polar power prod psnr ptp qr quantile rad2deg ' +
    'ravel real rearrange reciprocal relu relu6 repeat reshape rfft right_shift rms_normalization roll rot90 round rsqrt ' +
    'saturate_cast scan scatter scatter_update searchsorted segment_max segment_min segment_prod segment_sum select selu ' +
    'separable_conv shape sigmoid sign signbit silu sin sinc sinh size slice slice_update slogdet soft_shrink softmax softplus ' +
    'softsign solve solve_triangular sort space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax ' +
    'split sqrt square squareplus squeeze stack std stft stop_gradient subtract sum svd swapaxes swish switch take ' +
    'take_along_axis tan tanh tanh_shrink tensordot threshold tile top_k trace transpose trapezoid tri tril triu true_divide ' +
    'trunc unfold unique unravel_index unstack vander var vdot vectorize vectorized_map view view_as_complex view_as_real ' +
    'vsplit vstack where while_loop zeros zeros_like'),
  operation: words('Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle Any Append Arange ' +
    'Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit AssociativeScan ' +
    'Average AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr ' +
    'BitwiseRightShift BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast CategoricalCrossentropy Cbrt Ceil Celu Cholesky ' +
    'CholeskyInverse Clip Concatenate Cond Conj Conjugate Conv ConvTranspose ConvertToTensor Copy Corrcoef Correlate Cos Cosh ' +
    'CountNonzero CropImages Cross Cumprod Cumsum Deg2rad DepthToSpace DepthwiseConv Det Diag Diagflat Diagonal Diff Digitize ' +
    'Divide DivideNoNan Dot DotProductAttention Dsplit Dstack Eig Eigh Einsum ElasticTransform Elu EmptyLike Equal Erf Erfc ' +
    'Erfinv Exp Exp2 ExpandDims Expm1 ExtractPatches ExtractSequences FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax ' +
    'Fmin Fmod Fold ForiLoop Full FullLike Function GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater GreaterEqual HSVToRGB ' +
    'HardShrink HardSigmoid HardSilu HardTanh Heaviside Histogram Hsplit Hstack Hypot I0 IFFT2 IRFFT ISTFT Imag InTopK Inner ' +
    'Inv IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal JVP Kron LayerNorm Lcm Ldexp LeakyRelu LeftShift Less ' +
    'LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr ' +
    'LogicalXor Logspace Logsumexp Lstsq LuFactor Map MapCoordinates Matmul MatrixRank Max MaxPool Maximum Mean Median ' +
    'Meshgrid Min Minimum Mod Moments Moveaxis MultiHot Multiply NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax ' +
    'Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero Norm ' +
    'Normalize NotEqual OneHot OnesLike Operation Outer PSNR Pad PadImages Percentile PerspectiveTransform Pinv Polar Power ' +
    'Prod Ptp Qr Quantile RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real Rearrange Reciprocal Relu Relu6 Repeat ' +
    'Reshape Resize RightShift Roll Rot90 Round Rsqrt SSIM STFT SVD SaturateCast ScaleAndTranslate Scan Scatter ScatterUpdate ' +
    'SearchSorted SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum Select Selu SeparableConv Sigmoid Sign Signbit ' +
    'Silu Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign Solve SolveTriangular ' +
    'Sort SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Split Sqrt Square Squareplus Squeeze ' +
    'Stack Std StopGradient Subtract Sum Swapaxes Switch Take TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold Tile TopK ' +
    'Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unfold Unique UnravelIndex Unstack Vander Var Vdot VectorizedMap ' +
    'View ViewAsComplex ViewAsReal Vsplit Vstack Where WhileLoop ZerosLike'),
  optimizer: words('Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer MultiOptimizer Muon Nadam Optimizer ' +
    'OptimizerMap RMSprop SGD ScheduleFreeAdamW TFOptimizer adadelta adafactor adagrad adam adamax adamw ftrl lion ' +
    'lossscaleoptimizer multioptimizer muon nadam optimizer optimizermap rmsprop schedulefreeadamw sgd'),
  other: words('Cross Feature FeatureSpace InputSpec SeedGenerator'),
  policy: words('AWQDTypePolicy DTypePolicy DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy Int4DTypePolicy Policy PolicyV1 ' +
    'QuantizedDTypePolicy QuantizedFloat8DTypePolicy'),
  quantizer: words('AWQConfig AbsMaxQuantizer Float8QuantizationConfig GPTQConfig Int4QuantizationConfig Int8QuantizationConfig ' +
    'QuantizationConfig Quantizer'),
  regularizer: words('ActivityRegularizer EigenvalueRegularizer L1 L1L2 L2 OrthogonalRegularizer Regularizer WeightRegularizer activity_l1 ' +
    'activity_l1l2 activity_l2 l1 l1_l2 l1l2 l2 orthogonal_regularizer regularizer'),
  schedule: words('CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay LearningRateSchedule PiecewiseConstantDecay ' +
    'PolynomialDecay'),
};
