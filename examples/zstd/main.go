// Command zstd compresses and decompresses through DataDog/zstd, a cgo module with its C source.
package main

import (
	"bytes"
	"fmt"
	"log"
	"strings"

	"github.com/DataDog/zstd"
)

func main() {
	log.SetFlags(0)
	text := []byte(strings.Repeat("nothing of the host's libc, ", 1000))
	packed, err := zstd.CompressLevel(nil, text, 19)
	if err != nil {
		log.Fatal(err)
	}
	back, err := zstd.Decompress(nil, packed)
	if err != nil {
		log.Fatal(err)
	}
	if !bytes.Equal(text, back) {
		log.Fatal("what came back is not what went in")
	}
	fmt.Printf("zstd: %d bytes to less than %d and back\n", len(text), (len(packed)/100+1)*100)
}
