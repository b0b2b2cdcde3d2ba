"""NVIDIA's own compiler, which needs no device: what it rejects must fail here, too."""

import functools


@functools.cache
def compile_or_raise(source, name, expressions, options, arch):
    """Compiles for an architecture ('sm_90'); returns (cubin, log).

    Raises:
        cupy.cuda.compiler.CompileException: The compiler rejects the source.
    """
    from cupy.cuda.compiler import CompileException
    from cupy_backends.cuda.libs import nvrtc

    options = (*(o for o in options if not o.startswith('-arch')), f'-arch={arch}')
    program = nvrtc.createProgram(source, name or 'kernel.cu', (), ())
    try:
        for expression in expressions:
            nvrtc.addNameExpression(program, expression)
        nvrtc.compileProgram(program, options)
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        raise CompileException(nvrtc.getProgramLog(program), source, name, options, 'nvrtc') from None
    finally:
        nvrtc.destroyProgram(program)
