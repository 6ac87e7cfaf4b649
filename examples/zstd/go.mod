module example.com/zstd

go 1.24

require github.com/DataDog/zstd v1.5.7
