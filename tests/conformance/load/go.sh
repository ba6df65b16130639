# shellcheck shell=bash
# Go's compiler, and goroutines on as many threads as it wants.
# SPDX-License-Identifier: GPL-2.0-or-later
export GOCACHE=$PWD/cache GOPATH=$PWD/path GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0
export GOROOT=$SYSROOT/usr/lib/go-1.19
cat >sum.go <<'GO'
package main

import (
	"fmt"
	"sync"
)

func main() {
	var lock sync.Mutex
	var all sync.WaitGroup
	sum := 0
	for i := 0; i < 64; i++ {
		all.Add(1)
		go func(i int) { defer all.Done(); lock.Lock(); sum += i; lock.Unlock() }(i)
	}
	all.Wait()
	fmt.Println(sum)
}
GO
guest "$GOROOT/bin/go" build -o sum sum.go && [ "$(guest "$PWD/sum")" = 2016 ]
