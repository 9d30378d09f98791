/** What Keras has, by name. Written by tools/keras-names.py with Keras 3.15.1 and tf_keras 2.21.0; not edited by hand. */
/** @param {string} text */
const words = (text) => new Set(text.split(' '));

/** Layers of Keras 1 to 3. */
export const LAYERS = words('AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D ' +
  'AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AddLoss AddMetric ' +
  'AdditiveAttention AlphaDropout AtrousConv1D AtrousConv2D AtrousConvolution1D AtrousConvolution2D Attention ' +
  'AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D ' +
  'BatchNormalization Bidirectional CategoryEncoding CenterCrop ClassMethod Concatenate ' +
  'ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D ' +
  'Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D ConvRecurrent2D Convolution1D Convolution1DTranspose ' +
  'Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D ' +
  'CuDNNGRU CuDNNLSTM CutMix Deconvolution2D Deconvolution3D Dense DenseFeatures DepthwiseConv1D DepthwiseConv2D ' +
  'Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten FlaxLayer GRU GRUCell ' +
  'GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D ' +
  'GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D ' +
  'GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing ' +
  'Hashing Highway Identity InputLayer InstanceMethod InstanceProperty IntegerLookup JaxLayer LSTM LSTMCell ' +
  'Lambda Layer LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes ' +
  'MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MaxoutDense MelSpectrogram Merge ' +
  'Minimum MixUp ModuleWrapper MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization ' +
  'RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop ' +
  'RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue ' +
  'RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear ' +
  'RandomTranslation RandomWidth RandomZoom ReLU Recurrent RepeatVector Rescaling Reshape Resizing ' +
  'ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D ' +
  'SeparableConvolution2D SimpleRNN SimpleRNNCell SlicingOpLambda Softmax Solarization SpatialDropout1D ' +
  'SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract TFOpLambda ' +
  'TFSMLayer TensorFlowOpLayer TextVectorization ThresholdedReLU TimeDistributed TimeDistributedDense ' +
  'TorchModuleWrapper UnitNormalization UpSampling1D UpSampling2D UpSampling3D Wrapper ZeroPadding1D ' +
  'ZeroPadding2D ZeroPadding3D');

/** Models. */
export const MODELS = words('Functional Graph Model Sequential');

/** Operations of Keras 3 as classes. */
export const OPERATIONS = words('Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle Any Append ' +
  'Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ' +
  'ArraySplit AssociativeScan Average AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert ' +
  'BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast ' +
  'CategoricalCrossentropy Cbrt Ceil Celu Cholesky CholeskyInverse Clip Concatenate Cond Conj Conjugate Conv ' +
  'ConvTranspose ConvertToTensor Copy Corrcoef Correlate Cos Cosh CountNonzero CropImages Cross Cumprod Cumsum ' +
  'Deg2rad DepthToSpace DepthwiseConv Det Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot ' +
  'DotProductAttention Dsplit Dstack Eig Eigh Einsum ElasticTransform Elu EmptyLike Equal Erf Erfc Erfinv Exp ' +
  'Exp2 ExpandDims Expm1 ExtractPatches ExtractSequences FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax ' +
  'Fmin Fmod Fold ForiLoop Full FullLike Function GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater ' +
  'GreaterEqual HSVToRGB HardShrink HardSigmoid HardSilu HardTanh Heaviside Histogram Hsplit Hstack Hypot I0 ' +
  'IFFT2 IRFFT ISTFT Imag InTopK Inner Inv IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal JVP Kron ' +
  'LayerNorm Lcm Ldexp LeakyRelu LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax ' +
  'Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp Lstsq LuFactor Map ' +
  'MapCoordinates Matmul MatrixRank Max MaxPool Maximum Mean Median Meshgrid Min Minimum Mod Moments Moveaxis ' +
  'MultiHot Multiply NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin ' +
  'Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero Norm Normalize NotEqual ' +
  'OneHot OnesLike Outer PSNR Pad PadImages Percentile PerspectiveTransform Pinv Polar Power Prod Ptp Qr Quantile ' +
  'RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real Rearrange Reciprocal Relu Relu6 Repeat Reshape Resize ' +
  'RightShift Roll Rot90 Round Rsqrt SSIM STFT SVD SaturateCast ScaleAndTranslate Scan Scatter ScatterUpdate ' +
  'SearchSorted SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum Select Selu SeparableConv Sigmoid ' +
  'Sign Signbit Silu Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign ' +
  'Solve SolveTriangular Sort SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Split ' +
  'Sqrt Square Squareplus Squeeze Stack Std StopGradient Subtract Sum Swapaxes Switch Take TakeAlongAxis Tan Tanh ' +
  'TanhShrink Tensordot Threshold Tile TopK Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unfold Unique ' +
  'UnravelIndex Unstack Vander Var Vdot VectorizedMap View ViewAsComplex ViewAsReal Vsplit Vstack Where WhileLoop ' +
  'ZerosLike');

/** Functions that a config names as activation. */
export const ACTIVATIONS = words('celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear ' +
  'log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus ' +
  'sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold');

/** Initialisers, regularisers, constraints, policies and the like, classes and their other names. */
export const OTHERS = words('AWQDTypePolicy Constant Constraint DTypePolicy DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy GetItem ' +
  'GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Initializer Int4DTypePolicy ' +
  'KerasTensor L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm NonNeg Ones Orthogonal ' +
  'OrthogonalInitializer OrthogonalRegularizer Policy PolicyV1 QuantizedDTypePolicy QuantizedFloat8DTypePolicy ' +
  'RadialConstraint RandomNormal RandomUniform Regularizer STFT STFTInitializer SeedGenerator TruncatedNormal ' +
  'UnitNorm VarianceScaling Wrapper Zeros beta binomial categorical constant dropout gamma glorot_normal ' +
  'glorot_uniform he_normal he_uniform identity l1 l1_l2 l2 lecun_normal lecun_uniform max_norm min_max_norm ' +
  'non_neg normal ones orthogonal orthogonal_regularizer radial_constraint randint random_normal random_uniform ' +
  'shuffle stft truncated_normal uniform unit_norm variance_scaling zeros');
