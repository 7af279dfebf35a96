// A C interface to go-enry (linguist's rules): the language and the flags of one file, by its path and content.
package main

// #include <stdlib.h>
import "C"

import (
	"unsafe"

	"github.com/go-enry/go-enry/v2"
)

// starmill_classify writes the language's name into out (at most size bytes) and returns its length (0: unknown), with
// the bits of flags.go set above it. Lengths are explicit: a NUL ends nothing. The
// content is read in place and not kept.
//
//export starmill_classify
func starmill_classify(path *C.char, pathLength C.int, content unsafe.Pointer, length C.longlong, out *C.char, size C.int) C.int {
	name := C.GoStringN(path, pathLength)
	var text []byte
	if length > 0 {
		text = unsafe.Slice((*byte)(content), int(length))
	}
	language := enry.GetLanguage(name, text)
	n := copy(unsafe.Slice((*byte)(unsafe.Pointer(out)), int(size)), language)
	return C.int(n | flags(name, language, text))
}

func main() {}
