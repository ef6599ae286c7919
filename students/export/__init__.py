"""Export of trained students for other programs: timm and ONNX."""
