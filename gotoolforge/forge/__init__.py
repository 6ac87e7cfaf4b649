"""The forge: GCC, binutils and musl from source, one toolchain a target, kept by its digest."""
