package hdfs_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/storetest"
)

func TestHDFSDoesWhatStoresDo(t *testing.T) {
	uri := "hdfs://127.0.0.1:8020"
	storetest.Run(t, func(t *testing.T) store.FS {
		s, err := hdfs.New(uri+"/tmp/"+uuid.NewString(), hdfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
