"""Writes the model and the values of the tests. Run it in this folder: python make.py

It needs numpy and ai-edge-litert (2.1 made the committed files). The model is
drawn at random and uses every operator that the package runs, in float32 and in
int8; its outputs for random inputs, step after step, are those of TensorFlow
Lite's reference kernels.
"""
import flatbuffers
import numpy as np
from ai_edge_litert import interpreter
from ai_edge_litert import schema_py_generated as s

rng = np.random.default_rng(1)
O, T = s.BuiltinOperator, s.TensorType
buffers = [s.BufferT()]
codes = []


class Graph:
    def __init__(self):
        self.g = s.SubGraphT()
        self.g.tensors, self.g.operators, self.g.inputs, self.g.outputs = [], [], [], []

    def tensor(self, shape, type=T.FLOAT32, data=None, scale=None, zero=0, axis=0):
        t = s.TensorT()
        t.shape, t.type, t.buffer, t.name = list(shape), type, 0, "t%d" % len(self.g.tensors)
        if data is not None:
            b = s.BufferT()
            b.data = np.frombuffer(data.tobytes(), np.uint8)
            t.buffer = len(buffers)
            buffers.append(b)
        if scale is not None:
            q = s.QuantizationParametersT()
            q.scale = np.atleast_1d(np.float32(scale))
            q.zeroPoint = np.full(len(q.scale), zero, np.int64)
            q.quantizedDimension = axis
            t.quantization = q
        self.g.tensors.append(t)
        return len(self.g.tensors) - 1

    def const(self, a, type=T.FLOAT32, **kw):
        return self.tensor(a.shape, type, a, **kw)

    def op(self, code, inputs, outputs, options=None, kind=0):
        if code not in codes:
            codes.append(code)
        o = s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = codes.index(code), inputs, outputs
        o.builtinOptions, o.builtinOptionsType = options, kind
        self.g.operators.append(o)
        return outputs[0] if outputs else None


def options(cls, **kw):
    o = cls()
    for k, v in kw.items():
        setattr(o, k, v)
    return o


B = s.BuiltinOptions
main, init = Graph(), Graph()


def handle(graph, name):
    return graph.op(O.VAR_HANDLE, [], [graph.tensor([], T.RESOURCE)],
                    options(s.VarHandleOptionsT, sharedName=name, container=""), B.VarHandleOptions)


def ints(*v):
    return main.const(np.array(v, np.int32), T.INT32)


def buffered(x, name, rows, channels, new):
    """[history, x] along time; the last rows become the history."""
    h = handle(main, name)
    old = main.op(O.READ_VARIABLE, [h], [main.tensor([1, rows, 1, channels])])
    both = main.op(O.CONCATENATION, [old, x], [main.tensor([1, rows + new, 1, channels])],
                   options(s.ConcatenationOptionsT, axis=1), B.ConcatenationOptions)
    last = slice_(both, new, rows, channels)
    main.op(O.ASSIGN_VARIABLE, [h, last], [])
    first = init.const(rng.standard_normal((1, rows, 1, channels)).astype(np.float32))
    init.op(O.ASSIGN_VARIABLE, [handle(init, name), first], [])
    return both


def slice_(x, lo, rows, channels):
    return main.op(O.STRIDED_SLICE, [x, ints(0, lo, 0, 0), ints(0, lo + rows, 0, 0), ints(1, 1, 1, 1)],
                   [main.tensor([1, rows, 1, channels])],
                   options(s.StridedSliceOptionsT, beginMask=13, endMask=13), B.StridedSliceOptions)


def leaky(x, shape, **q):
    t = T.INT8 if q else T.FLOAT32
    return main.op(O.LEAKY_RELU, [x], [main.tensor(shape, t, **q)], options(s.LeakyReluOptionsT, alpha=0.3), B.LeakyReluOptions)


def weights(*shape):
    return main.const((rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))


def bias(n):
    return main.const(rng.standard_normal(n).astype(np.float32) * 0.1)


def weights8(axis, *shape, one=False):
    n = 1 if one else shape[axis]
    scale = (0.2 + rng.random(n)) / 127 / np.sqrt(np.prod(shape[1:]))
    w = rng.integers(-127, 128, shape).astype(np.int8)
    return main.const(w, T.INT8, scale=scale, axis=axis), scale


def bias8(n, scale):
    return main.const(rng.integers(-300, 300, n).astype(np.int32), T.INT32, scale=scale)


def conv(x, w, b, out, stride=1, code=O.CONV_2D, dilation=1):
    if code == O.CONV_2D:
        o, k = options(s.Conv2DOptionsT, padding=1, strideH=stride, strideW=1, dilationHFactor=dilation, dilationWFactor=1), B.Conv2DOptions
    else:
        o = options(s.DepthwiseConv2DOptionsT, padding=1, strideH=stride, strideW=1, depthMultiplier=1, dilationHFactor=dilation, dilationWFactor=1)
        k = B.DepthwiseConv2DOptions
    return main.op(code, [x, w, b], [out], o, k)


def quantize(x, shape, scale, zero):
    return main.op(O.QUANTIZE, [x], [main.tensor(shape, T.INT8, scale=scale, zero=zero)])


def dequantize(x, shape):
    return main.op(O.DEQUANTIZE, [x], [main.tensor(shape)])


def transposed(x, w, b, out, shape, stride):
    return main.op(O.TRANSPOSE_CONV, [ints(*shape), w, x, b], [out],
                   options(s.TransposeConvOptionsT, padding=1, strideH=stride, strideW=1), B.TransposeConvOptions)


# 24 samples a step. The first operator sets the variables.
main.op(O.CALL_ONCE, [], [], options(s.CallOnceOptionsT, initSubgraphIndex=1), B.CallOnceOptions)
x = main.tensor([1, 24])
main.g.inputs = [x]
x = main.op(O.RESHAPE, [x, ints(1, 24, 1, 1)], [main.tensor([1, 24, 1, 1])])
x = buffered(x, "samples", 6, 1, 24)
x = skip = conv(x, weights(8, 10, 1, 1), bias(8), main.tensor([1, 6, 1, 8]), stride=4)
x = leaky(x, [1, 6, 1, 8])
x = buffered(x, "features", 6, 8, 6)
x = conv(x, weights(1, 3, 1, 8), bias(8), main.tensor([1, 6, 1, 8]), code=O.DEPTHWISE_CONV_2D, dilation=3)
x = conv(x, weights(8, 1, 1, 4), bias(8), main.tensor([1, 6, 1, 8]))  # two groups
x = main.op(O.ADD, [x, skip], [main.tensor([1, 6, 1, 8])], s.AddOptionsT(), B.AddOptions)
x = buffered(x, "tail", 2, 8, 6)
x = conv(x, weights(8, 4, 1, 4), bias(8), main.tensor([1, 3, 1, 8]), stride=2)  # groups with several taps

# int8
q = skip = quantize(x, [1, 3, 1, 8], 0.03, 5)
q = leaky(q, [1, 3, 1, 8], scale=0.02, zero=-40)
w, sw = weights8(0, 8, 1, 1, 4)
q = conv(q, w, bias8(8, sw * 0.02), main.tensor([1, 3, 1, 8], T.INT8, scale=0.015, zero=12))
q = main.op(O.ADD, [q, skip], [main.tensor([1, 3, 1, 8], T.INT8, scale=0.04, zero=-3)], s.AddOptionsT(), B.AddOptions)
w, sw = weights8(3, 1, 2, 1, 8)
q = conv(q, w, bias8(8, sw * 0.04), main.tensor([1, 2, 1, 8], T.INT8, scale=0.008, zero=7), code=O.DEPTHWISE_CONV_2D)
a, b = main.tensor([1, 2, 1, 4], T.INT8, scale=0.008, zero=7), main.tensor([1, 2, 1, 4], T.INT8, scale=0.008, zero=7)
main.op(O.SPLIT, [main.const(np.array(3, np.int32), T.INT32), q], [a, b], options(s.SplitOptionsT, numSplits=2), B.SplitOptions)
w, sw = weights8(0, 4, 3, 1, 4, one=True)
y = transposed(b, w, bias8(4, sw * 0.008), main.tensor([1, 5, 1, 4], T.INT8, scale=0.01, zero=-9), [1, 5, 1, 4], 2)
y = dequantize(y, [1, 5, 1, 4])
y = main.op(O.SUB, [y, bias(4)], [main.tensor([1, 5, 1, 4])], s.SubOptionsT(), B.SubOptions)
y = transposed(y, weights(2, 8, 1, 4), bias(2), main.tensor([1, 24, 1, 2]), [1, 24, 1, 2], 4)
main.g.outputs = [y, dequantize(a, [1, 2, 1, 4])]

model = s.ModelT()
model.version, model.subgraphs, model.buffers = 3, [main.g, init.g], buffers
model.operatorCodes = []
for c in codes:
    code = s.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = c, min(c, 127), 1
    model.operatorCodes.append(code)
builder = flatbuffers.Builder(0)
builder.Finish(model.Pack(builder), b"TFL3")
open("model.tflite", "wb").write(builder.Output())

run = interpreter.Interpreter(model_path="model.tflite", experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF)
run.allocate_tensors()
values = []
for _ in range(12):
    x = (rng.standard_normal((1, 24)) * 2).astype(np.float32)
    run.set_tensor(run.get_input_details()[0]["index"], x)
    run.invoke()
    values.append(x.ravel())
    values += [run.get_tensor(o["index"]).ravel() for o in run.get_output_details()]
np.concatenate(values).astype("<f4").tofile("values.f32")
