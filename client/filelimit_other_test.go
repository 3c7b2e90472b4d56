//go:build !unix

package client_test

func raiseFileLimit() {}
