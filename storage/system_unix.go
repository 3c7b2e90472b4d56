//go:build unix

package storage

import (
	"os"
	"syscall"
)

// openFlags keeps the opening of a named pipe from waiting for its other end.
const openFlags = syscall.O_NONBLOCK

// foldNames: file names that differ in case only are two files here.
const foldNames = false

var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT}

// tooManyErrors say that this process or the system has no descriptor left.
var tooManyErrors = []error{syscall.EMFILE, syscall.ENFILE}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if err != nil && isAny(err, folderSyncErrors) {
		return nil // the file system has no such thing
	}
	return err
}

var folderSyncErrors = []error{syscall.EINVAL, syscall.ENOTSUP, syscall.EBADF}
