// Every kernel, compiled as one image.
